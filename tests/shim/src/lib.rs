//! A PKCS#11 module for tests only, which stands in front of a real one and adds
//! CKM_RSA_AES_KEY_WRAP (0x1054, PKCS#11 v3.1, 6.1.27).
//!
//! Keyferry's default wrap is that mechanism, and no free token has it: without this shim nothing
//! but an HSM could run the default. The shim builds it from what the real token has: an AES-256
//! key that is made in the token, wrapped by the token's RSA-OAEP, and the target key wrapped under
//! it by the token's AES-KWP. All keys stay in the real token.
//!
//! It also keeps its word about three attributes of RSA private keys that are generated through it,
//! because no real token could enforce them for a mechanism that it lacks: CKA_ALLOWED_MECHANISMS
//! with 0x1054, CKA_UNWRAP_TEMPLATE of such a key, and CKA_WRAP_WITH_TRUSTED. What was declared is
//! kept in a folder, is read back, cannot be changed, and is enforced by C_WrapKey, C_UnwrapKey,
//! C_DecryptInit and C_SignInit.
//!
//! It adds nothing else but what it is told to be or to do wrong: every other call is the real module's own. It is no security boundary
//! either: whoever loads the real module directly is past it.
//!
//! Environment:
//! - `KEYFERRY_SHIM_MODULE`: the real module.
//! - `KEYFERRY_SHIM_STATE`: the folder of declared attributes; made if missing.
//! - `KEYFERRY_SHIM_PERSONALITY`, optional: a token that nobody here has, by its name
//!   (`personality.rs`).
//! - `KEYFERRY_SHIM_LIE`, optional: a token's fault that Keyferry must find, by its name (`lie.rs`,
//!   `wrong.rs`).
//! - `KEYFERRY_SHIM_CALLS`, optional: a file to which each call's number in this process and its
//!   name are added (`fault.rs`).
//! - `KEYFERRY_SHIM_TIMES`, optional: a file to which the number of calls of each function and
//!   their nanoseconds are written at C_Finalize; `KEYFERRY_SHIM_LATENCY`: microseconds that are
//!   added to each call, as a network would (`clock.rs`).
//! - `KEYFERRY_SHIM_SNAPSHOTS`, optional: a folder. After each call that changes the token, a copy
//!   of the tokens, which `KEYFERRY_SHIM_TOKENS` names, and of the shim's state is made below it,
//!   and recorded as `snapshot <number>`.
//! - `KEYFERRY_SHIM_FAULT`, optional: `<n>|<function> once|lasting <fault>`, what goes wrong with
//!   the n-th call, or the first of a function, or with all from it on.
//!
//! The one reason that holds for each `unsafe` block of this crate: a caller of PKCS#11 passes
//! pointers that are valid for the lengths beside them (v3.1, 5.2), and what goes to the real
//! module points into values that outlive the call.

mod attributes;
mod clock;
mod declared;
mod entry;
mod fault;
mod key_pair;
mod lie;
mod mechanisms;
mod memory;
mod personality;
mod real;
mod shaped;
mod wrap;
mod wrong;

use std::collections::HashMap;
use std::env;
use std::path::PathBuf;
use std::ptr::{from_ref, null};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use cryptoki_sys::*;

use lie::Lie;
use memory::Answer;
use personality::Personality;
use real::Real;

struct Shim {
    real: Real,
    /// The real module's own functions.
    real_list: CK_FUNCTION_LIST,
    /// The same, with the mechanism that the token lacks.
    emulated: CK_FUNCTION_LIST,
    /// The same, of a token of that personality.
    honest: CK_FUNCTION_LIST,
    /// The same, some of them lying.
    list: CK_FUNCTION_LIST,
    /// What callers get: the same, each counted where there is a plan.
    front: CK_FUNCTION_LIST,
    /// What callers get the second time, where the lie is that: of a module that nobody has
    /// initialised.
    other: CK_FUNCTION_LIST,
    plan: Option<fault::Plan>,
    state: PathBuf,
    personality: Option<&'static Personality>,
    lie: Option<Lie>,
    /// The values of AES keys that the `pkcs7` lie made, by their handle.
    known_aes: Mutex<HashMap<CK_OBJECT_HANDLE, [u8; lie::AES_LEN]>>,
}

static SHIM: OnceLock<Shim> = OnceLock::new();
/// Whether somebody has the function list.
static ANSWERED: AtomicBool = AtomicBool::new(false);

impl Shim {
    /// The shim, loaded by C_GetFunctionList.
    fn get() -> Answer<&'static Shim> {
        SHIM.get().ok_or(CKR_GENERAL_ERROR)
    }

    fn load() -> Result<Shim, String> {
        let required = |name| env::var_os(name).ok_or_else(|| format!("{name} is not set"));
        let state = PathBuf::from(required("KEYFERRY_SHIM_STATE")?);
        std::fs::create_dir_all(&state)
            .map_err(|error| format!("KEYFERRY_SHIM_STATE {}: {error}", state.display()))?;
        let lie = env::var_os("KEYFERRY_SHIM_LIE").filter(|name| !name.is_empty());
        let lie = lie.map(|name| Lie::named(&name)).transpose()?;
        let mut real = Real::load(&required("KEYFERRY_SHIM_MODULE")?)
            .map_err(|error| format!("KEYFERRY_SHIM_MODULE: {error}"))?;
        let real_list = real.list;
        real.list = wrong::spoiling(&real_list);
        let emulated = entry::replaced(&real.list);
        let personality = env::var_os("KEYFERRY_SHIM_PERSONALITY");
        let personality = personality.map(|name| Personality::named(&name)).transpose()?;
        let honest = personality.map_or(emulated, |_| shaped::shaped(&emulated));
        let list = wrong::lying(&honest);
        let plan = fault::Plan::of_environment()?;
        Ok(Shim {
            real_list,
            emulated,
            honest,
            personality,
            list,
            front: if plan.is_some() { fault::counted(&list) } else { list },
            other: CK_FUNCTION_LIST::default(),
            plan,
            real,
            state,
            lie,
            known_aes: Mutex::new(HashMap::new()),
        })
    }
}

/// The only function that this module exports; callers that look for C_GetInterface fall back to
/// it.
///
/// # Safety
/// `list` is null or can be written to (PKCS#11 v3.1, 5.4.4).
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    // A failure is not kept: the next caller may have set the environment right.
    let shim = match SHIM.get() {
        Some(shim) => shim,
        None => match Shim::load() {
            Ok(shim) => SHIM.get_or_init(|| shim),
            Err(error) => {
                eprintln!("keyferry-shim: {error}");
                return CKR_GENERAL_ERROR;
            }
        },
    };
    let answer = match shim.lie {
        Some(Lie::NoList) => null(),
        Some(Lie::TwoLists) if ANSWERED.swap(true, Ordering::SeqCst) => from_ref(&shim.other),
        _ => from_ref(&shim.front),
    };
    // Callers only read the list, though its type is not const.
    unsafe { list.write(answer.cast_mut()) };
    CKR_OK
}
