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
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_SUCCESS, HANDLE, LocalFree};
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

/// Rights that let a user change the contents of a file or its list.
const WRITE: u32 = FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC | WRITE_OWNER;
/// Type of a list entry that permits, and the flag of an entry for children only.
const PERMITS: u8 = 0;
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
    fn new(rights: &str) -> io::Result<Self> {
        let sid = User::current()?.text()?;
        let text = format!("O:{sid}D:P(A;{rights};;;{sid})");
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
    once(&KNOWN, || Attributes::new("OICI;FA"))
}

/// Returns the attributes of an event for this user alone.
pub(super) fn for_events() -> io::Result<&'static Attributes> {
    static KNOWN: OnceLock<Attributes> = OnceLock::new();
    // All rights of an event.
    once(&KNOWN, || Attributes::new(";0x1f0003"))
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
        if header.AceType != PERMITS || header.AceFlags & INHERIT_ONLY != 0 || mask & WRITE == 0 {
            return false;
        }
        // SAFETY: an entry of this type has its identifier from here.
        let sid: *const u32 = unsafe { &raw const (*entry).SidStart };
        let sid: PSID = sid.cast_mut().cast();
        !user.is(sid) && !is_trusted(sid)
    })
}
