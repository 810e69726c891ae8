//! The system calls that sleep in a word and wake its sleepers, on macOS.
//!
//! Owns the choice of the calls, their arguments, and the meaning of their results. Calls what it is given: the
//! functions of the system, or those of a test. Never finds out if a word is shared.
//!
//! | macOS | calls | source of the fact |
//! |---|---|---|
//! | 14.4 and later | `os_sync_wait_on_address_with_timeout`, `os_sync_wake_by_address_all` | Apple's documentation of `os_sync_wait_on_address` |
//! | 10.15 to 14.3 | `__ulock_wait`, `__ulock_wake` | `bsd/sys/ulock.h` of xnu-6153: the first one with `UL_COMPARE_AND_WAIT_SHARED` |
//! | neither is found | sleeps of [`POLL`] | |
//!
//! All are found by name at run time, so that one program runs on all of these. `bsd/kern/sys_ulock.c` of xnu-11417
//! has these facts:
//!
//! 1. The kernel compares the word under the lock that a wake takes, so no wake is lost.
//! 2. A shared word has the key (memory object, offset), which is the same in all processes that have the file mapped.
//!    The object of private memory can change after a fork. So a private word needs the other operation, whose key is
//!    (process, address). Sleeper and waker must choose the same operation.
//! 3. A timeout of zero means for ever. `__ulock_wait` takes microseconds in 32 bits.
//! 4. The kernel does not read a page that is not resident: the call fails with EFAULT, as for an address that is not
//!    mapped. The caller loads the word before it sleeps again, which makes the page resident.

use crate::os::Woken;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem::transmute;
use std::time::Duration;

/// Longest sleep that is passed to the system. A longer one ends early, as if it was woken.
const LONGEST: Duration = Duration::from_secs(3600);
/// Sleep of a thread whose word the system cannot watch.
const POLL: Duration = Duration::from_millis(1);

/// `OS_SYNC_WAIT_ON_ADDRESS_SHARED` and `OS_SYNC_WAKE_BY_ADDRESS_SHARED`.
const SHARED: u32 = 1;
/// `OS_CLOCK_MACH_ABSOLUTE_TIME`: the clock of `Instant`.
const CLOCK: u32 = 32;
/// `UL_COMPARE_AND_WAIT` and `UL_COMPARE_AND_WAIT_SHARED`.
const COMPARE_AND_WAIT: u32 = 1;
const COMPARE_AND_WAIT_SHARED: u32 = 3;
/// `ULF_WAKE_ALL`.
const WAKE_ALL: u32 = 0x100;

/// `os_sync_wait_on_address_with_timeout`: address, value, size, flags, clock, nanoseconds.
type WaitOnAddress = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;
/// `os_sync_wake_by_address_all`: address, size, flags.
type WakeByAddress = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;
/// `__ulock_wait`: operation, address, value, microseconds.
type UlockWait = unsafe extern "C" fn(u32, *mut c_void, u64, u32) -> c_int;
/// `__ulock_wake`: operation, address, unused.
type UlockWake = unsafe extern "C" fn(u32, *mut c_void, u64) -> c_int;

/// The calls that this system has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Calls {
    Address(WaitOnAddress, WakeByAddress),
    Ulock(UlockWait, UlockWake),
    Poll,
}

/// Returns the nanoseconds for `os_sync_wait_on_address_with_timeout`. (3)
fn nanoseconds(timeout: Duration) -> u64 {
    u64::try_from(timeout.min(LONGEST).as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// Returns the microseconds for `__ulock_wait`, rounded up. (3)
fn microseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.min(LONGEST).as_nanos().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

impl Calls {
    /// Returns the newest calls that `find` knows by name.
    ///
    /// # Safety
    /// `find` returns null, or the address of the function of that name as macOS declares it.
    pub(super) unsafe fn choose(find: impl Fn(&CStr) -> *mut c_void) -> Self {
        let (wait, wake) =
            (find(c"os_sync_wait_on_address_with_timeout"), find(c"os_sync_wake_by_address_all"));
        if !wait.is_null() && !wake.is_null() {
            // SAFETY: the caller's promise.
            let wait = unsafe { transmute::<*mut c_void, WaitOnAddress>(wait) };
            // SAFETY: the caller's promise.
            let wake = unsafe { transmute::<*mut c_void, WakeByAddress>(wake) };
            return Calls::Address(wait, wake);
        }
        let (wait, wake) = (find(c"__ulock_wait"), find(c"__ulock_wake"));
        if !wait.is_null() && !wake.is_null() {
            // SAFETY: the caller's promise.
            let wait = unsafe { transmute::<*mut c_void, UlockWait>(wait) };
            // SAFETY: the caller's promise.
            let wake = unsafe { transmute::<*mut c_void, UlockWake>(wake) };
            return Calls::Ulock(wait, wake);
        }
        Calls::Poll
    }

    /// Sleeps while the word at `address` is `expected`, for at most `timeout`. The word may be unmapped.
    pub(super) fn wait(self, address: usize, expected: u32, shared: bool, timeout: Duration) -> Woken {
        let at = std::ptr::with_exposed_provenance_mut::<c_void>(address);
        let result = match self {
            Calls::Address(wait, _) => {
                let flags = if shared { SHARED } else { 0 };
                // SAFETY: the kernel checks the address and writes nothing there.
                unsafe { wait(at, expected.into(), size_of::<u32>(), flags, CLOCK, nanoseconds(timeout)) }
            }
            Calls::Ulock(wait, _) => {
                let operation = if shared { COMPARE_AND_WAIT_SHARED } else { COMPARE_AND_WAIT };
                // SAFETY: the kernel checks the address and writes nothing there.
                unsafe { wait(operation, at, expected.into(), microseconds(timeout)) }
            }
            Calls::Poll => {
                std::thread::sleep(timeout.min(POLL));
                return Woken::Perhaps;
            }
        };
        if result >= 0 {
            return Woken::Perhaps;
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::ETIMEDOUT) if timeout <= LONGEST => Woken::TimedOut,
            Some(libc::ETIMEDOUT | libc::EINTR | libc::EFAULT) => Woken::Perhaps,
            // The system cannot watch this word, and must not be asked in a busy loop.
            _ => {
                std::thread::sleep(timeout.min(POLL));
                Woken::Perhaps
            }
        }
    }

    /// Wakes all sleepers of the word at `address`.
    pub(super) fn wake(self, address: usize, shared: bool) {
        let at = std::ptr::with_exposed_provenance_mut::<c_void>(address);
        match self {
            Calls::Address(_, wake) => {
                let flags = if shared { SHARED } else { 0 };
                // SAFETY: the kernel uses the address as a key only. The call fails if there is no sleeper.
                unsafe { wake(at, size_of::<u32>(), flags) };
            }
            Calls::Ulock(_, wake) => {
                let operation = if shared { COMPARE_AND_WAIT_SHARED } else { COMPARE_AND_WAIT };
                // SAFETY: the kernel uses the address as a key only. The call fails if there is no sleeper.
                unsafe { wake(operation | WAKE_ALL, at, 0) };
            }
            // Sleepers load their words every millisecond.
            Calls::Poll => {}
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::ptr::null_mut;

    thread_local! {
        /// Arguments of the last call, and the error that the next call returns.
        static CALL: Cell<(&'static str, u64, u32, u64)> = const { Cell::new(("", 0, 0, 0)) };
        static ERROR: Cell<i32> = const { Cell::new(0) };
    }

    fn end() -> c_int {
        let error = ERROR.get();
        // SAFETY: the error number of this thread.
        unsafe { *libc::__errno_location() = error };
        if error == 0 { 0 } else { -1 }
    }

    unsafe extern "C" fn wait(
        _: *mut c_void,
        value: u64,
        size: usize,
        flags: u32,
        clock: u32,
        time: u64,
    ) -> c_int {
        assert_eq!((size, clock), (4, 32));
        CALL.set(("wait", value, flags, time));
        end()
    }

    unsafe extern "C" fn wake(_: *mut c_void, size: usize, flags: u32) -> c_int {
        assert_eq!(size, 4);
        CALL.set(("wake", 0, flags, 0));
        end()
    }

    unsafe extern "C" fn ulock_wait(operation: u32, _: *mut c_void, value: u64, time: u32) -> c_int {
        CALL.set(("ulock_wait", value, operation, time.into()));
        end()
    }

    unsafe extern "C" fn ulock_wake(operation: u32, _: *mut c_void, _: u64) -> c_int {
        CALL.set(("ulock_wake", 0, operation, 0));
        end()
    }

    /// Returns the calls of a system that has only the functions with these names.
    fn system(names: &[&str]) -> Calls {
        let find = |name: &CStr| {
            let name = name.to_str().unwrap();
            match name {
                _ if !names.contains(&name) => null_mut(),
                "os_sync_wait_on_address_with_timeout" => wait as *mut c_void,
                "os_sync_wake_by_address_all" => wake as *mut c_void,
                "__ulock_wait" => ulock_wait as *mut c_void,
                "__ulock_wake" => ulock_wake as *mut c_void,
                _ => unreachable!(),
            }
        };
        // SAFETY: the functions of this module have the right types.
        unsafe { Calls::choose(find) }
    }

    const NEW: [&str; 2] = ["os_sync_wait_on_address_with_timeout", "os_sync_wake_by_address_all"];
    const OLD: [&str; 2] = ["__ulock_wait", "__ulock_wake"];

    #[test]
    fn newest_complete_pair_of_calls_is_chosen() {
        let all = [NEW[0], NEW[1], OLD[0], OLD[1]];
        assert!(matches!(system(&all), Calls::Address(..)));
        assert!(matches!(system(&[NEW[0], OLD[0], OLD[1]]), Calls::Ulock(..)));
        assert!(matches!(system(&OLD), Calls::Ulock(..)));
        assert!(matches!(system(&[NEW[1], OLD[0]]), Calls::Poll));
    }

    #[test]
    fn arguments_are_those_of_each_call() {
        let second = Duration::from_secs(1);
        for (shared, flag, operation) in [(true, 1, 3), (false, 0, 1)] {
            system(&NEW).wait(8, u32::MAX, shared, second);
            assert_eq!(CALL.get(), ("wait", u64::from(u32::MAX), flag, 1_000_000_000));
            system(&NEW).wake(8, shared);
            assert_eq!(CALL.get(), ("wake", 0, flag, 0));
            system(&OLD).wait(8, 7, shared, second);
            assert_eq!(CALL.get(), ("ulock_wait", 7, operation, 1_000_000));
            system(&OLD).wake(8, shared);
            assert_eq!(CALL.get(), ("ulock_wake", 0, operation | 0x100, 0));
        }
    }

    #[test]
    fn timeouts_are_never_zero_and_never_overflow() {
        let cases = [
            (Duration::ZERO, 1, 1),
            (Duration::from_nanos(1), 1, 1),
            (Duration::from_nanos(1001), 1001, 2),
            (Duration::from_millis(50), 50_000_000, 50_000),
            (LONGEST, 3_600_000_000_000, 3_600_000_000),
            (Duration::MAX, 3_600_000_000_000, 3_600_000_000),
        ];
        for (timeout, nanos, micros) in cases {
            assert_eq!((nanoseconds(timeout), microseconds(timeout)), (nanos, micros), "{timeout:?}");
        }
    }

    #[test]
    fn only_a_timeout_that_is_over_counts_as_timed_out() {
        let short = Duration::from_micros(10);
        let cases = [
            (0, short, Woken::Perhaps),
            (libc::ETIMEDOUT, short, Woken::TimedOut),
            (libc::ETIMEDOUT, LONGEST, Woken::TimedOut),
            (libc::ETIMEDOUT, Duration::MAX, Woken::Perhaps),
            (libc::EINTR, short, Woken::Perhaps),
            (libc::EFAULT, short, Woken::Perhaps),
            (libc::EINVAL, short, Woken::Perhaps),
        ];
        for (error, timeout, woken) in cases {
            ERROR.set(error);
            assert_eq!(system(&NEW).wait(8, 0, true, timeout), woken, "{error}");
            assert_eq!(system(&OLD).wait(8, 0, true, timeout), woken, "{error}");
        }
    }

    #[test]
    fn word_that_cannot_be_watched_costs_no_busy_loop() {
        ERROR.set(libc::EINVAL);
        for calls in [system(&NEW), system(&OLD), system(&[])] {
            let start = std::time::Instant::now();
            assert_eq!(calls.wait(8, 0, true, Duration::from_secs(60)), Woken::Perhaps);
            assert!(start.elapsed() >= POLL && start.elapsed() < Duration::from_secs(30));
            calls.wake(8, true);
        }
    }
}
