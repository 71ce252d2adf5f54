//! A gate: an act that waits for signatures of enough distinct officers over a request that says exactly
//! what is about to happen (design, section 5).

use serde::Serialize;

use crate::{
    Error, Result,
    ceremony::Ceremony,
    document::FORMAT,
    encoding::Hash,
    folder,
    plan::{Id, Mode, Side},
    signature::{self, Namespace, Signed},
};

/// The greatest size of a request, in bytes.
const MAX_REQUEST: u64 = 1 << 20;

/// What officers are asked to sign.
#[derive(Serialize)]
struct Request<'a, S> {
    format: &'static str,
    ceremony: &'a Id,
    mode: Mode,
    side: Side,
    plan_hash: Hash,
    gate: &'static str,
    attempt: u32,
    /// The last log entry that changed the phase: a request is void once the ceremony has moved on.
    entry: Hash,
    subject: S,
    summary: String,
}

/// The evidence that enough officers have signed for an act.
pub struct Approved {
    /// SHA-256 of the request.
    pub request: Hash,
    /// Who signed.
    pub signatures: Vec<Signed>,
}

/// Asks for approval of an act, or takes it where enough officers have signed this very request.
///
/// # Errors
/// [`Error::Waiting`] with the exact lines to sign; `SIGNATURE-…` for a signature that is wrong.
pub fn require(
    ceremony: &Ceremony,
    gate: &'static str,
    subject: impl Serialize,
    summary: String,
) -> Result<Approved> {
    let state = &ceremony.state;
    let request = Request {
        format: FORMAT,
        ceremony: &ceremony.plan.ceremony,
        mode: ceremony.plan.mode,
        side: state.side,
        plan_hash: ceremony.plan.hash(),
        gate,
        attempt: state.attempt,
        entry: state.phase_entry.hash,
        subject,
        summary,
    };
    let folder = ceremony.dir.join("approvals");
    folder::make_folder(&folder)?;
    let mut bytes =
        serde_json::to_vec_pretty(&request).map_err(|error| Error::file(&folder, error))?;
    bytes.push(b'\n');
    let mut number = 1;
    let path = loop {
        let path = folder.join(format!("{number:02}-{gate}.json"));
        if !path.exists() {
            folder::write_new(&path, &bytes)?;
        }
        if folder::read_file(&path, MAX_REQUEST)? == bytes {
            break path;
        }
        number += 1;
    };
    let signatures = signature::beside(&path)?;
    let verified = signature::verify(
        &ceremony.plan,
        state.side,
        Namespace::Approval,
        &bytes,
        &signatures,
    )?;
    signature::enough(
        &ceremony.plan,
        state.side,
        Namespace::Approval,
        &path,
        &verified,
    )?;
    Ok(Approved {
        request: Hash::of(&bytes),
        signatures: verified.everyone(),
    })
}
