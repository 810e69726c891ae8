//! The names that a pickle may use, and their meanings here.
//!
//! Owns the allow-list. A name on it is a symbol for a shape of data. No name is ever imported or called, so
//! a name that is not on the list can do no harm either. Such a name is an error if it would have to be
//! called, and otherwise the class of an instance.

/// Meaning of a `module.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Any other name.
    Other,
    /// Any other name of `builtins`: a base or a factory that is only mentioned, never called or
    /// instantiated.
    Builtin,
    Set,
    FrozenSet,
    Bytes,
    ByteArray,
    Complex,
    /// `_codecs.encode`, by which protocols 0 to 2 write bytes as text.
    Encode,
    /// `copyreg._reconstructor`, by which protocols 0 and 1 make instances.
    Reconstructor,
    OrderedDict,
    DefaultDict,
    Deque,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
    /// `…multiarray._reconstruct`: an empty array, filled by its state.
    Reconstruct,
    /// `…multiarray.scalar`.
    Scalar,
    /// `…numeric._frombuffer`, by which protocol 5 writes contiguous arrays.
    FromBuffer,
    Counter,
    Range,
    Slice,
    /// `getattr`, by which protocols 0 to 3 name inner classes, and all protocols a class method.
    GetAttr,
    /// `array.array`.
    TypedArray,
    /// `array._array_reconstructor`, by which protocols 3 to 5 write an `array.array`.
    ArrayReconstructor,
    DateTime,
    Date,
    Time,
    TimeDelta,
    TimeZone,
    ZoneInfo,
    /// `ZoneInfo._unpickle`.
    ZoneUnpickle,
    Decimal,
    Fraction,
    Uuid,
    /// The classes of `pathlib`.
    Path,
    /// The classes of `ipaddress`.
    Ip,
    /// `msgpack.Timestamp`.
    Timestamp,
    /// A class that the receiving end has listed as an `Enum`.
    Enum,
}

impl Known {
    /// Returns `true` for a name that makes an array or a scalar of numpy, or an `array.array`.
    pub(super) fn is_array(self) -> bool {
        use Known as K;
        matches!(
            self,
            K::Reconstruct | K::FromBuffer | K::NdArray | K::Scalar | K::TypedArray | K::ArrayReconstructor
        )
    }

    /// Returns `true` for a name whose call is read as a value with a text.
    pub(super) fn is_leaf(self) -> bool {
        use Known as K;
        matches!(
            self,
            K::DateTime
                | K::Date
                | K::Time
                | K::TimeDelta
                | K::TimeZone
                | K::ZoneInfo
                | K::ZoneUnpickle
                | K::Decimal
                | K::Fraction
                | K::Uuid
                | K::Path
                | K::Ip
                | K::Timestamp
        )
    }
}

/// Looks a name up. Protocols 0 to 2 write the names of Python 2; `numpy._core` is `numpy.core` since numpy
/// 2.
/// `numpy.core` since numpy 2.
pub(super) fn look_up(module: &[u8], name: &[u8]) -> Known {
    match (module, name) {
        (b"builtins" | b"__builtin__", name) => match name {
            b"set" => Known::Set,
            b"frozenset" => Known::FrozenSet,
            b"bytes" => Known::Bytes,
            b"bytearray" => Known::ByteArray,
            b"complex" => Known::Complex,
            b"range" | b"xrange" => Known::Range,
            b"slice" => Known::Slice,
            b"getattr" => Known::GetAttr,
            _ => Known::Builtin,
        },
        (b"_codecs", b"encode") => Known::Encode,
        (b"copyreg" | b"copy_reg", b"_reconstructor") => Known::Reconstructor,
        (b"collections", b"OrderedDict") => Known::OrderedDict,
        (b"collections", b"defaultdict") => Known::DefaultDict,
        (b"collections", b"deque") => Known::Deque,
        (b"collections", b"Counter") => Known::Counter,
        (b"datetime", b"datetime") => Known::DateTime,
        (b"datetime", b"date") => Known::Date,
        (b"datetime", b"time") => Known::Time,
        (b"datetime", b"timedelta") => Known::TimeDelta,
        (b"datetime", b"timezone") => Known::TimeZone,
        (b"zoneinfo", b"ZoneInfo") => Known::ZoneInfo,
        (b"decimal", b"Decimal") => Known::Decimal,
        (b"fractions", b"Fraction") => Known::Fraction,
        (b"uuid", b"UUID") => Known::Uuid,
        // Python 3.13 has these classes in `_local`.
        (
            b"pathlib" | b"pathlib._local",
            b"PosixPath" | b"PurePosixPath" | b"WindowsPath" | b"PureWindowsPath",
        ) => Known::Path,
        (
            b"ipaddress",
            b"IPv4Address" | b"IPv6Address" | b"IPv4Network" | b"IPv6Network" | b"IPv4Interface"
            | b"IPv6Interface",
        ) => Known::Ip,
        (b"array", b"array") => Known::TypedArray,
        (b"array", b"_array_reconstructor") => Known::ArrayReconstructor,
        (b"msgpack" | b"msgpack.ext", b"Timestamp") => Known::Timestamp,
        (b"numpy", b"ndarray") => Known::NdArray,
        (b"numpy", b"dtype") => Known::Dtype,
        (b"numpy._core.multiarray" | b"numpy.core.multiarray", b"_reconstruct") => Known::Reconstruct,
        (b"numpy._core.multiarray" | b"numpy.core.multiarray", b"scalar") => Known::Scalar,
        (b"numpy._core.numeric" | b"numpy.core.numeric", b"_frombuffer") => Known::FromBuffer,
        _ => Known::Other,
    }
}
