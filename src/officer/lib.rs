//! An officer's own desk: what waits for their signature is read once, checked as its receiver
//! would, shown, and asked for; those very bytes are signed. What the officer trusts is a plan of
//! their own, never what somebody laid beside the file.

mod found;
mod keygen;
mod look;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use record::encoding::Hash;
use record::escape::escape;
use record::fingerprint::{self, WORDS_TYPED};
use record::plan::Plan;
use record::rule::Rule;
use record::show::Language;
use record::signature::{self, Namespace, SignatureFile};
use record::terms::{Id, Mode};
use record::{Error, Result, folder};
use terminal::{Asker, fail, give, tell};

use found::Found;
use look::{Desk, Look};

/// What an officer asks for.
pub struct Order {
    /// Files, and folders of files.
    pub paths: Vec<PathBuf>,
    /// The officer.
    pub id: Id,
    /// Their key, as `ssh-keygen -f` takes it.
    pub key: PathBuf,
    /// Their own copy of the plan.
    pub plan: Option<PathBuf>,
    /// Signs without asking; in rehearsals.
    pub yes: bool,
    /// The language in which files are explained.
    pub language: Language,
}

/// A file that may be signed.
pub struct Ready {
    path: PathBuf,
    bytes: Vec<u8>,
    namespace: Namespace,
    plan: Plan,
    /// What it says, escaped.
    page: Vec<String>,
    /// What could not be checked.
    unchecked: Vec<String>,
    /// Where the signature goes.
    place: PathBuf,
    /// Why what lies there is none.
    invalid: Option<String>,
}

/// Shows and signs what waits for a person; the exit code of all of it.
///
/// # Errors
/// [`Error::Ended`] where a question was ended, [`Error::Failed`] where no signature was made,
/// `SIGNATURE-…` where it is not the person's; `DOCUMENT-KIND` where nothing waits.
pub fn sign(order: &Order) -> Result<ExitCode> {
    if !order.key.is_file() {
        return Err(Error::Usage {
            what: format!("{} is no key file", folder::shown(&order.key)),
            remedy: "--key KEY: your private key; with an agent its .pub".into(),
        });
    }
    if is_of_age(&order.key)? {
        return Err(Error::Usage {
            what: format!("{} is an age identity or recipient, as custodians have, and signs nothing", folder::shown(&order.key)),
            remedy: "--key KEY: your SSH key, as `ssh-keygen -t ed25519` made it; with an agent its .pub".into(),
        });
    }
    let found = Found::at(&order.paths)?;
    let mut desk = Desk::new(order, &found);
    let (mut signed, mut already, mut ended) = (0, 0, None);
    for candidate in &found.files {
        match desk.look(candidate) {
            Ok(Look::Ready(ready)) if agreed(order, &ready)? => {
                make(order, &ready)?;
                signed += 1;
            }
            Ok(Look::Ready(ready)) => {
                tell(&format!("not signed: {}", folder::shown(&ready.path)));
                ended.get_or_insert(ExitCode::from(4));
            }
            Ok(Look::Signed) => {
                give(&format!(
                    "already signed by {}: {}",
                    order.id,
                    folder::shown(&candidate.path)
                ))?;
                already += 1;
            }
            Ok(Look::Void(why)) => {
                tell(&format!("not asked: {}: void, {why}", folder::shown(&candidate.path)))
            }
            Ok(Look::Nothing) => {}
            // What ends a question ends all of it.
            Err(error) if ends(&error) => return Err(error),
            Err(error) => {
                ended.get_or_insert(fail(&error));
            }
        }
    }
    if signed > 0 {
        let back = "Carry the .sig files back beside the files they sign.";
        give(&format!("{signed} signed by {}. {back}", order.id))?;
    }
    match ended {
        Some(code) => Ok(code),
        None if signed + already == 0 => Err(nothing_error(order)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Whether a key file is one of age's, by how it begins: nothing secret is read.
fn is_of_age(key: &Path) -> Result<bool> {
    use std::io::Read;
    let mut begin = Vec::new();
    let file = File::open(key).map_err(|error| Error::file(key, error))?;
    file.take(24).read_to_end(&mut begin).map_err(|error| Error::file(key, error))?;
    let kinds: [&[u8]; 6] = [
        b"AGE-SECRET-KEY-1",
        b"AGE-PLUGIN-",
        b"age1",
        b"-----BEGIN AGE ENCRYPTED",
        b"# a custodian's identity",
        b"# created: ",
    ];
    let begin = begin.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(&begin);
    Ok(kinds.iter().any(|kind| begin.starts_with(kind)))
}

fn ends(error: &Error) -> bool {
    matches!(error, Error::Ended { .. }) || error.rule() == Some(Rule::WordsMismatch)
}

fn nothing_error(order: &Order) -> Error {
    let paths = order.paths.iter().map(|path| folder::shown(path));
    Rule::DocumentKind.refuse(
        format!("{}: nothing that waits for {}", paths.collect::<Vec<_>>().join(", "), order.id),
        "a plan, a request, a document of your side in its folder, the head of an archive, or a token's report",
        "look what was to be signed, and whether all of it was copied",
    )
}

/// Shows a file, and asks.
fn agreed(order: &Order, ready: &Ready) -> Result<bool> {
    let hash = Hash::of(&ready.bytes);
    give(&format!("== {}  ({})", folder::shown(&ready.path), ready.namespace))?;
    if order.yes {
        if ready.plan.mode != Mode::Rehearsal {
            return Err(Error::Usage {
                what: "--yes serves rehearsals only, and this is production".into(),
                remedy: "run it without --yes, and read what is shown".into(),
            });
        }
        give(&format!("   SHA-256 {hash}"))?;
        return Ok(true);
    }
    for line in &ready.page {
        give(line)?;
    }
    let (plan, mode) = (&ready.plan, ready.plan.mode);
    give(&format!(
        "\nHELD AGAINST the plan of {}, {mode}, SHA-256 {}",
        plan.ceremony,
        plan.hash()
    ))?;
    if !ready.unchecked.is_empty() {
        give("\nNOT CHECKED HERE")?;
    }
    for line in &ready.unchecked {
        give(&format!("  - {}", escape(line)))?;
    }
    if let Some(why) = &ready.invalid {
        let place = folder::file_name(&ready.place);
        give(&format!(
            "\n{} IS NO SIGNATURE OF YOURS OVER THIS FILE, and goes if you sign:",
            escape(&place)
        ))?;
        why.lines().try_for_each(|line| give(&format!("  {}", escape(line))))?;
    }
    give(&format!("\nSHA-256 of what you sign: {hash}\n  its first {WORDS_TYPED} words:"))?;
    give(&fingerprint::rows(&hash.as_bytes()[..WORDS_TYPED]))?;
    let question = format!(
        "Sign this as {}? Type yes; or, where another officer reads the words of their screen aloud, type those: ",
        order.id
    );
    let answer = Asker::new(mode).line(&question)?;
    match answer.split_whitespace().count() {
        0 | 1 => Ok(answer.trim() == "yes"),
        _ => fingerprint::confirm(hash, &answer).map(|_| true),
    }
}

/// Has a file signed, verifies what came back, and puts it into its place.
fn make(order: &Order, ready: &Ready) -> Result<()> {
    let Ready { bytes, namespace, plan, place, .. } = ready;
    let signature = keygen::sign(&order.key, *namespace, bytes)?;
    verify(plan, *namespace, bytes, &order.id, signature.clone())?;
    if ready.invalid.is_some() {
        folder::remove_if_there(place)?;
    }
    folder::write_alone(place, &signature)?;
    give(&format!("   signed: {}", folder::shown(place)))
}

/// Whether this is a person's valid signature.
fn verify(
    plan: &Plan,
    namespace: Namespace,
    message: &[u8],
    id: &Id,
    bytes: Vec<u8>,
) -> Result<()> {
    let file = SignatureFile { signer: id.to_string(), bytes };
    signature::verify_any(plan, namespace, message, &[file]).map(drop)
}
