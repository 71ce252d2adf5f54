//! Calls counted and recorded, and one of them, or all from it on, going wrong as the environment
//! says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{env, thread, time::Duration};

use cryptoki_sys::*;

use crate::Shim;
use crate::clock::Clock;

/// What is the matter with a call.
#[derive(Clone, Copy)]
enum Fault {
    /// It is not made, and answers this.
    Answers(CK_RV),
    /// It is made, and answers CKR_DEVICE_ERROR.
    ErrorThoughDone,
    /// It is not made, and answers CKR_OK.
    OkThoughNotDone,
    /// It never answers.
    Hang,
    /// The process is killed, before or after the call is made.
    KillBefore,
    KillAfter,
    /// The process crashes.
    Crash,
}

impl Fault {
    fn named(name: &str) -> Option<Fault> {
        Some(match name {
            "device-error" => Fault::Answers(CKR_DEVICE_ERROR),
            "device-removed" => Fault::Answers(CKR_DEVICE_REMOVED),
            "session-handle-invalid" => Fault::Answers(CKR_SESSION_HANDLE_INVALID),
            "user-not-logged-in" => Fault::Answers(CKR_USER_NOT_LOGGED_IN),
            "pin-locked" => Fault::Answers(CKR_PIN_LOCKED),
            "host-memory" => Fault::Answers(CKR_HOST_MEMORY),
            "buffer-too-small" => Fault::Answers(CKR_BUFFER_TOO_SMALL),
            "function-failed" => Fault::Answers(CKR_FUNCTION_FAILED),
            "error-though-done" => Fault::ErrorThoughDone,
            "ok-though-not-done" => Fault::OkThoughNotDone,
            "hang" => Fault::Hang,
            "kill-before" => Fault::KillBefore,
            "kill-after" => Fault::KillAfter,
            "crash" => Fault::Crash,
            _ => return None,
        })
    }
}

/// The call that goes wrong first: by its number among all calls, counted from 1, or by its
/// function, of which it is the first call.
enum At {
    Number(usize),
    Function(String),
}

/// What goes wrong: with one call, or with that and all later ones.
struct Planned {
    at: At,
    lasting: bool,
    fault: Fault,
    begun: AtomicBool,
}

impl Planned {
    fn of(&self, number: usize, name: &str) -> Option<Fault> {
        let here = match &self.at {
            At::Number(at) => number == *at,
            At::Function(at) => name == at,
        };
        let begun = self.begun.load(Ordering::SeqCst);
        let first = here && !begun && !self.begun.swap(true, Ordering::SeqCst);
        (first || begun && self.lasting).then_some(self.fault)
    }
}

/// The plan of one process: what is recorded, and what goes wrong when.
pub struct Plan {
    /// A line is added per call: its number and its name.
    record: Option<File>,
    fault: Option<Planned>,
    calls: AtomicUsize,
    /// Where copies of the token go, and what is copied.
    snapshots: Option<(PathBuf, [PathBuf; 2])>,
    clock: Option<Clock>,
}

/// Functions after which a token is no longer what it was.
const CHANGES: [&str; 7] = [
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_SetAttributeValue",
    "C_GenerateKeyPair",
    "C_UnwrapKey",
    "C_Login",
];

impl Plan {
    /// From the environment; `None` where it says nothing.
    pub fn of_environment() -> Result<Option<Plan>, String> {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let record = set("KEYFERRY_SHIM_CALLS").map(|path| {
            let file = OpenOptions::new().append(true).create(true).open(&path);
            file.map_err(|error| format!("KEYFERRY_SHIM_CALLS {path}: {error}"))
        });
        let fault = set("KEYFERRY_SHIM_FAULT").map(|text| {
            of_text(&text).ok_or_else(|| format!("KEYFERRY_SHIM_FAULT {text}: not understood"))
        });
        let (record, fault) = (record.transpose()?, fault.transpose()?);
        let path = |name| set(name).map(PathBuf::from);
        let snapshots = path("KEYFERRY_SHIM_SNAPSHOTS")
            .zip(path("KEYFERRY_SHIM_TOKENS").zip(path("KEYFERRY_SHIM_STATE")))
            .map(|(to, (tokens, state))| (to, [tokens, state]));
        let clock = Clock::of_environment()?;
        let is_one = record.is_some() || fault.is_some() || clock.is_some();
        Ok(is_one.then_some(Plan { record, fault, calls: AtomicUsize::new(0), snapshots, clock }))
    }

    fn note(&self, line: &str) {
        // A record that cannot be written fails the test that reads it.
        let _ = self.record.as_ref().map(|mut file| file.write_all(line.as_bytes()));
    }

    fn call(&self, name: &'static str, make: impl FnOnce() -> CK_RV) -> CK_RV {
        if let Some(clock) = &self.clock {
            return clock.time(name, make);
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.note(&format!("{number} {name}\n"));
        let planned = self.fault.as_ref();
        match planned.and_then(|planned| planned.of(number, name)) {
            None => {
                let answer = make();
                self.snapshot(number, name);
                answer
            }
            Some(Fault::Answers(rv)) => rv,
            Some(Fault::ErrorThoughDone) => {
                make();
                CKR_DEVICE_ERROR
            }
            Some(Fault::OkThoughNotDone) => CKR_OK,
            Some(Fault::Hang) => {
                self.note("hangs\n");
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            }
            Some(Fault::KillBefore) => end(9),
            Some(Fault::KillAfter) => {
                make();
                end(9)
            }
            Some(Fault::Crash) => end(11),
        }
    }
}

impl Plan {
    fn snapshot(&self, number: usize, name: &str) {
        let Some((to, parts)) = self.snapshots.as_ref().filter(|_| CHANGES.contains(&name)) else {
            return;
        };
        let to = to.join(number.to_string());
        let copied = parts
            .iter()
            .all(|part| (part.file_name()).is_some_and(|name| copy(part, &to.join(name)).is_ok()));
        self.note(&format!("{} {number}\n", if copied { "snapshot" } else { "no-snapshot" }));
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    fs::copy(from, to).map(drop)
}

/// `<n>|<function> once|lasting <fault>`.
fn of_text(text: &str) -> Option<Planned> {
    let mut words = text.split(' ');
    let first = words.next()?;
    let at = match first.parse() {
        Ok(number) => At::Number(number),
        Err(_) if first.starts_with("C_") => At::Function(first.to_owned()),
        Err(_) => return None,
    };
    let lasting = match words.next()? {
        "once" => false,
        "lasting" => true,
        _ => return None,
    };
    Some(Planned {
        at,
        lasting,
        fault: Fault::named(words.next()?)?,
        begun: AtomicBool::new(false),
    })
}

/// Ends this process by a signal.
fn end(signal: i32) -> CK_RV {
    unsafe extern "C" {
        fn raise(signal: i32) -> i32;
    }
    // Rust's own handler of SIGSEGV takes the first one, to look for a stack that ran over.
    for _ in 0..2 {
        unsafe { raise(signal) };
    }
    // Where the signal was survived after all, the caller hears of it.
    CKR_GENERAL_ERROR
}

fn through(name: &'static str, call: impl FnOnce(&CK_FUNCTION_LIST) -> CK_RV) -> CK_RV {
    match Shim::get() {
        Ok(Shim { plan: None, list, .. }) => call(list),
        Ok(Shim { plan: Some(plan), list, .. }) => plan.call(name, || call(list)),
        Err(rv) => rv,
    }
}

macro_rules! counted {
    ($($name:ident($($argument:ident: $kind:ty),* $(,)?);)*) => {
        $(
            #[allow(non_snake_case, clippy::too_many_arguments)]
            unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
                through(stringify!($name), |list| match list.$name {
                    Some(function) => unsafe { function($($argument),*) },
                    None => CKR_FUNCTION_NOT_SUPPORTED,
                })
            }
        )*

        /// This list with each function counted.
        pub fn counted(list: &CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
            CK_FUNCTION_LIST { $($name: Some($name),)* ..*list }
        }
    };
}

type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;

counted! {
    C_Initialize(arguments: CK_VOID_PTR);
    C_Finalize(reserved: CK_VOID_PTR);
    C_GetInfo(info: *mut CK_INFO);
    C_GetSlotList(present: CK_BBOOL, list: *mut CK_SLOT_ID, count: *mut CK_ULONG);
    C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO);
    C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO);
    C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: *mut CK_ULONG);
    C_GetMechanismInfo(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO);
    C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, application: CK_VOID_PTR, notify: CK_NOTIFY, session: *mut Session);
    C_CloseSession(session: Session);
    C_CloseAllSessions(slot: CK_SLOT_ID);
    C_GetSessionInfo(session: Session, info: *mut CK_SESSION_INFO);
    C_Login(session: Session, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, length: CK_ULONG);
    C_Logout(session: Session);
    C_CreateObject(session: Session, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut Object);
    C_CopyObject(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG, copy: *mut Object);
    C_DestroyObject(session: Session, object: Object);
    C_GetAttributeValue(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_SetAttributeValue(session: Session, object: Object, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_FindObjectsInit(session: Session, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_FindObjects(session: Session, objects: *mut Object, most: CK_ULONG, count: *mut CK_ULONG);
    C_FindObjectsFinal(session: Session);
    C_DecryptInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_Decrypt(session: Session, sealed: *mut CK_BYTE, sealed_length: CK_ULONG, data: *mut CK_BYTE, length: *mut CK_ULONG);
    C_SignInit(session: Session, mechanism: *mut CK_MECHANISM, key: Object);
    C_Sign(session: Session, data: *mut CK_BYTE, data_length: CK_ULONG, signature: *mut CK_BYTE, length: *mut CK_ULONG);
    C_GenerateKey(session: Session, mechanism: *mut CK_MECHANISM, template: *mut CK_ATTRIBUTE, count: CK_ULONG, key: *mut Object);
    C_GenerateKeyPair(
        session: Session,
        mechanism: *mut CK_MECHANISM,
        public: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG,
        private: *mut CK_ATTRIBUTE,
        private_count: CK_ULONG,
        public_key: *mut Object,
        private_key: *mut Object,
    );
    C_WrapKey(
        session: Session,
        mechanism: *mut CK_MECHANISM,
        wrapping: Object,
        key: Object,
        wrapped: *mut CK_BYTE,
        length: *mut CK_ULONG,
    );
    C_UnwrapKey(
        session: Session,
        mechanism: *mut CK_MECHANISM,
        unwrapping: Object,
        wrapped: *mut CK_BYTE,
        wrapped_length: CK_ULONG,
        template: *mut CK_ATTRIBUTE,
        count: CK_ULONG,
        key: *mut Object,
    );
    C_GenerateRandom(session: Session, random: *mut CK_BYTE, length: CK_ULONG);
}
