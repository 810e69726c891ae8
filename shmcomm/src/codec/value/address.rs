//! Names of things: identifiers, paths and network addresses of Python's standard library.
//!
//! Owns [`Uuid`], [`PyPath`] and [`Ip`]. Calls nothing; opens no path and resolves no address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::leaf::NoSuchValue;

/// Python's `uuid.UUID`: 16 bytes. Displays with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Returns the identifier of these bytes, most significant first.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, most significant first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Reads 32 hexadecimal digits, with or without hyphens.
impl FromStr for Uuid {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        let plain = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = if plain { u128::from_str_radix(&digits, 16).ok() } else { None };
        number.map(|n| Self(n.to_be_bytes())).ok_or(NoSuchValue("UUID"))
    }
}

/// The class of a [`PyPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PathClass {
    PosixPath,
    PurePosixPath,
    /// A path that Python makes on Windows only.
    WindowsPath,
    PureWindowsPath,
}

const PATHS: [(PathClass, &str); 4] = [
    (PathClass::PosixPath, "PosixPath"),
    (PathClass::PurePosixPath, "PurePosixPath"),
    (PathClass::WindowsPath, "WindowsPath"),
    (PathClass::PureWindowsPath, "PureWindowsPath"),
];

/// A path of Python's `pathlib`. Displays as the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PyPath {
    /// The class of `pathlib`.
    pub class: PathClass,
    /// The path, as `str()` writes it.
    pub path: String,
}

impl PyPath {
    /// Returns a `PosixPath`, which `pathlib.Path` is on Linux.
    pub fn new(path: impl Into<String>) -> Self {
        Self { class: PathClass::PosixPath, path: path.into() }
    }

    /// Joins the parts that Python before 3.13 writes.
    #[cfg(feature = "pickle")]
    pub(crate) fn join(class: PathClass, parts: &[impl AsRef<str>]) -> Self {
        let separator = match class {
            PathClass::PosixPath | PathClass::PurePosixPath => '/',
            PathClass::WindowsPath | PathClass::PureWindowsPath => '\\',
        };
        let mut path = String::new();
        for (i, part) in parts.iter().enumerate() {
            // The first part may be the root, or a drive, which ends in a separator if it has one.
            let drive = i == 1 && separator == '\\' && path.ends_with(':');
            if !path.is_empty() && !path.ends_with(separator) && !drive {
                path.push(separator);
            }
            path.push_str(part.as_ref());
        }
        Self { class, path }
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn class_of(name: &str) -> Option<PathClass> {
        PATHS.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
    }

    /// Returns the name of the class in `pathlib`.
    pub(crate) fn class_name(&self) -> &'static str {
        PATHS.iter().find(|(class, _)| *class == self.class).map_or("PurePath", |(_, name)| name)
    }

    pub(super) fn wire(&self) -> String {
        format!("{}:{}", self.class_name(), self.path)
    }
}

impl fmt::Display for PyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Reads any text as a `PosixPath`.
impl FromStr for PyPath {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        let named = PATHS.iter().find_map(|(class, name)| {
            let path = text.strip_prefix(name)?.strip_prefix(':')?;
            Some(Self { class: *class, path: path.to_owned() })
        });
        Ok(named.unwrap_or_else(|| Self::new(text)))
    }
}

/// The class of an [`Ip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IpClass {
    IPv4Address,
    IPv6Address,
    IPv4Network,
    IPv6Network,
    IPv4Interface,
    IPv6Interface,
}

const IPS: [(IpClass, &str); 6] = [
    (IpClass::IPv4Address, "IPv4Address"),
    (IpClass::IPv6Address, "IPv6Address"),
    (IpClass::IPv4Network, "IPv4Network"),
    (IpClass::IPv6Network, "IPv6Network"),
    (IpClass::IPv4Interface, "IPv4Interface"),
    (IpClass::IPv6Interface, "IPv6Interface"),
];

/// An address, network or interface of Python's `ipaddress`. Displays as its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ip {
    class: IpClass,
    text: String,
}

impl Ip {
    /// Returns the value of that class; `None` if the text is not one. Networks and interfaces have a
    /// prefix length: `10.0.0.0/8`.
    #[must_use]
    pub fn new(class: IpClass, text: &str) -> Option<Self> {
        let (address, prefix) = match class {
            IpClass::IPv4Address | IpClass::IPv6Address => (text, None),
            _ => text.split_once('/').map(|(address, prefix)| (address, Some(prefix)))?,
        };
        let v4 = matches!(class, IpClass::IPv4Address | IpClass::IPv4Network | IpClass::IPv4Interface);
        let real = match v4 {
            true => address.parse::<Ipv4Addr>().is_ok(),
            false => {
                let (address, zone) = address.split_once('%').unwrap_or((address, "0"));
                address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains(['%', '/'])
            }
        };
        let most = if v4 { 32 } else { 128 };
        let fits = prefix.is_none_or(|prefix| {
            prefix.bytes().all(|b| b.is_ascii_digit()) && prefix.parse::<u8>().is_ok_and(|n| n <= most)
        });
        (real && fits).then(|| Self { class, text: text.to_owned() })
    }

    /// Returns the class.
    #[must_use]
    pub fn class(&self) -> IpClass {
        self.class
    }

    /// Returns the text, as `str()` writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the address without prefix length and scope.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        let end = self.text.find(['/', '%']).unwrap_or(self.text.len());
        self.text[..end].parse().ok()
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn class_of(name: &str) -> Option<IpClass> {
        IPS.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
    }

    /// Returns the name of the class in `ipaddress`.
    pub(crate) fn class_name(&self) -> &'static str {
        IPS.iter().find(|(class, _)| *class == self.class).map_or("IPv4Address", |(_, name)| name)
    }

    pub(super) fn wire(&self) -> String {
        format!("{}={}", self.class_name(), self.text)
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads an address, or an interface if there is a prefix length.
impl FromStr for Ip {
    type Err = NoSuchValue;

    fn from_str(text: &str) -> Result<Self, NoSuchValue> {
        let named = text.split_once('=').and_then(|(name, text)| {
            let (class, _) = IPS.iter().find(|(_, known)| *known == name)?;
            Self::new(*class, text)
        });
        let plain =
            [IpClass::IPv4Address, IpClass::IPv6Address, IpClass::IPv4Interface, IpClass::IPv6Interface];
        let guess = || plain.into_iter().find_map(|class| Self::new(class, text));
        named.or_else(guess).ok_or(NoSuchValue("IP address"))
    }
}

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        let class = if address.is_ipv4() { IpClass::IPv4Address } else { IpClass::IPv6Address };
        Self { class, text: address.to_string() }
    }
}
