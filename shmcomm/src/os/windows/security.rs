//! Access control: this user alone.
//!
//! Owns the user's identifier and the attributes of what the library creates. Calls nothing of the crate. Never
//! changes the list of a file that exists.

use super::check;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr::null_mut;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_SUCCESS, GENERIC_ALL, GENERIC_WRITE, HANDLE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, DACL_SECURITY_INFORMATION, EqualSid, GetAce, GetTokenInformation,
    IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY,
    TOKEN_USER, TokenUser, WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Number of the user of this process, and of every other user, in a `Stat`.
pub(super) const OWN: u32 = 0;
const ANOTHER: u32 = 1;
/// Permission bit of a `Stat`: users other than the owner may write.
pub(super) const OTHERS_WRITE: u32 = 0o002;

/// Rights that let a user change the contents of a file or its list. The generic rights contain them.
const WRITE: u32 =
    FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL;
/// Types of list entries that permit and have the identifier of the user after the mask: `ACCESS_ALLOWED_ACE_TYPE` and
/// `ACCESS_ALLOWED_CALLBACK_ACE_TYPE`, whose condition is taken as met.
const PERMITS: [u8; 2] = [0, 9];
/// Types of list entries that take rights away: `ACCESS_DENIED_*_ACE_TYPE`.
const DENIES: [u8; 4] = [1, 6, 10, 12];
/// Flag of an entry that applies to the children of a directory only.
const INHERIT_ONLY: u8 = 8;

/// Attributes with which the library creates files or events. Their descriptor is never freed.
pub(super) struct Attributes(SECURITY_ATTRIBUTES);

// SAFETY: an address that is never freed and never written to.
unsafe impl Send for Attributes {}
// SAFETY: as for `Send`.
unsafe impl Sync for Attributes {}

impl Attributes {
    pub(super) fn as_ptr(&self) -> *const SECURITY_ATTRIBUTES {
        &raw const self.0
    }

    /// Makes attributes whose list has one entry: this user, with `rights` as the text form of a list has them.
    /// `label` is the text of the mandatory label, or empty for the default of the system.
    fn new(rights: &str, label: &str) -> io::Result<Self> {
        let sid = User::current()?.text()?;
        let text = format!("O:{sid}D:P(A;{rights};;;{sid}){label}");
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text ends with a zero, and the call fills one address.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Attributes(SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        }))
    }
}

/// Returns the attributes of a file or a directory for this user alone.
pub(super) fn for_files() -> io::Result<&'static Attributes> {
    static KNOWN: OnceLock<Attributes> = OnceLock::new();
    // Inherited by files and directories, all rights of a file.
    once(&KNOWN, || Attributes::new("OICI;FA", ""))
}

/// All rights of an event, in the text form of a list.
const EVENT_RIGHTS: &str = ";0x1f0003";

/// Returns the attributes of an event for this user alone, with or without administrator rights: its label is that of
/// a process without them.
pub(super) fn for_events() -> io::Result<&'static Attributes> {
    static KNOWN: OnceLock<Attributes> = OnceLock::new();
    once(&KNOWN, || Attributes::new(EVENT_RIGHTS, "S:(ML;;NW;;;ME)"))
}

/// Returns the attributes of an event for a process that may not set the label of [`for_events`]: one of low integrity.
pub(super) fn for_events_of_low_integrity() -> io::Result<&'static Attributes> {
    static KNOWN: OnceLock<Attributes> = OnceLock::new();
    once(&KNOWN, || Attributes::new(EVENT_RIGHTS, ""))
}

fn once<T>(known: &'static OnceLock<T>, make: impl FnOnce() -> io::Result<T>) -> io::Result<&'static T> {
    if let Some(known) = known.get() {
        return Ok(known);
    }
    let made = make()?;
    Ok(known.get_or_init(|| made))
}

/// Identifier of the user of this process, in the memory that the system filled.
struct User(Vec<u64>);

impl User {
    fn current() -> io::Result<&'static User> {
        static KNOWN: OnceLock<User> = OnceLock::new();
        once(&KNOWN, User::ask)
    }

    fn ask() -> io::Result<User> {
        let mut token: HANDLE = null_mut();
        // SAFETY: the handle of this process needs no opening; the call fills one handle.
        check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
        // An identifier has at most 68 bytes.
        let mut room = vec![0u64; 32];
        let mut len = 0;
        // SAFETY: `room` has that many bytes and the alignment of the structure.
        let filled = check(unsafe {
            GetTokenInformation(
                token,
                TokenUser,
                room.as_mut_ptr().cast(),
                room.len() as u32 * 8,
                &raw mut len,
            )
        });
        // SAFETY: this function's own handle, not used again.
        unsafe { CloseHandle(token) };
        filled.map(|()| User(room))
    }

    fn sid(&self) -> PSID {
        let user: *const TOKEN_USER = self.0.as_ptr().cast();
        // SAFETY: the system filled the structure, whose identifier lies behind it in the same memory.
        unsafe { (*user).User.Sid }
    }

    /// Returns the identifier as text: `S-1-5-21-…`.
    fn text(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: a valid identifier; the call fills one address.
        check(unsafe { ConvertSidToStringSidW(self.sid(), &raw mut text) })?;
        let mut units = Vec::new();
        // SAFETY: the text ends with a zero, so every unit before it is there.
        while let unit @ 1.. = unsafe { text.add(units.len()).read() } {
            units.push(unit);
        }
        // SAFETY: allocated by the call above, and not used again.
        unsafe { LocalFree(text.cast()) };
        Ok(String::from_utf16_lossy(&units))
    }

    /// Returns `true` if the identifier is this user's.
    fn is(&self, sid: PSID) -> bool {
        // SAFETY: both are valid identifiers.
        unsafe { EqualSid(self.sid(), sid) != 0 }
    }
}

/// Returns the number of the owner of a file, and its permission bits: 0600, with [`OTHERS_WRITE`] if it applies.
pub(super) fn owner_and_mode(file: &impl AsRawHandle) -> io::Result<(u32, u32)> {
    let user = User::current()?;
    let (mut owner, mut list, mut descriptor): (PSID, *mut ACL, _) = (null_mut(), null_mut(), null_mut());
    // SAFETY: an open file; the call fills three addresses.
    let result = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            &raw mut list,
            null_mut(),
            &raw mut descriptor,
        )
    };
    if result != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(result as i32));
    }
    // SAFETY: `list` is null or a list within `descriptor`.
    let others = unsafe { others_write(user, list) };
    // The administrators own what an elevated process creates without an owner.
    let own = !owner.is_null() && (user.is(owner) || is_trusted(owner));
    // SAFETY: allocated by the call above, and not used again.
    unsafe { LocalFree(descriptor) };
    let (owner, mode) = (if own { OWN } else { ANOTHER }, if others { 0o600 | OTHERS_WRITE } else { 0o600 });
    Ok((owner, mode))
}

/// Returns `true` for the system, the administrators, and the owner: they need no permission.
fn is_trusted(sid: PSID) -> bool {
    [WinLocalSystemSid, WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid].into_iter().any(|known| {
        // SAFETY: a valid identifier.
        unsafe { IsWellKnownSid(sid, known) != 0 }
    })
}

/// Returns `true` if the list lets users other than `user` change the file. Without a list all may.
///
/// # Safety
/// `list` is null or a valid list.
unsafe fn others_write(user: &User, list: *const ACL) -> bool {
    if list.is_null() {
        return true;
    }
    // SAFETY: the caller's promise.
    let count = unsafe { (*list).AceCount };
    (0..count).any(|index| {
        let mut entry: *mut c_void = null_mut();
        // SAFETY: a valid list; the call fills one address, and checks the index.
        if unsafe { GetAce(list, index.into(), &raw mut entry) } == 0 {
            return true;
        }
        let entry: *const ACCESS_ALLOWED_ACE = entry.cast();
        // SAFETY: all entries start with this header and a mask.
        let (header, mask) = unsafe { ((*entry).Header, (*entry).Mask) };
        if DENIES.contains(&header.AceType) || header.AceFlags & INHERIT_ONLY != 0 || mask & WRITE == 0 {
            return false;
        }
        // The identifier of an entry for objects, or of an unknown type, is in another place.
        if !PERMITS.contains(&header.AceType) {
            return true;
        }
        // SAFETY: an entry of this type has its identifier from here.
        let sid: *const u32 = unsafe { &raw const (*entry).SidStart };
        let sid: PSID = sid.cast_mut().cast();
        !user.is(sid) && !is_trusted(sid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a list with one entry of this type, these flags and this mask, for all users of the system.
    fn list(ace_type: u8, flags: u8, mask: u32) -> Vec<u32> {
        // Revision, size, number of entries; type, flags, size, mask; the identifier S-1-1-0.
        let mut bytes = vec![2, 0, 28, 0, 1, 0, 0, 0, ace_type, flags, 20, 0];
        bytes.extend(mask.to_le_bytes());
        bytes.extend([1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
    }

    fn judged(ace_type: u8, flags: u8, mask: u32) -> bool {
        let list = list(ace_type, flags, mask);
        // SAFETY: a valid list.
        unsafe { others_write(User::current().unwrap(), list.as_ptr().cast()) }
    }

    #[test]
    fn entries_of_all_types_are_judged_safely() {
        for ace_type in 0..=30 {
            assert_eq!(judged(ace_type, 0, FILE_WRITE_DATA), !DENIES.contains(&ace_type), "type {ace_type}");
            assert!(!judged(ace_type, INHERIT_ONLY, FILE_WRITE_DATA), "type {ace_type}");
            // FILE_READ_DATA.
            assert!(!judged(ace_type, 0, 1), "type {ace_type}");
        }
        for mask in [FILE_APPEND_DATA, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_WRITE, GENERIC_ALL] {
            assert!(judged(0, 0, mask), "mask {mask:#x}");
        }
        // SAFETY: without a list.
        assert!(unsafe { others_write(User::current().unwrap(), std::ptr::null()) });
    }
}
