//! An officer's own desk: what waits for their signature is read once, checked as its receiver
//! would, shown, and asked for; those very bytes are signed. What the officer trusts is a plan of
//! their own, never what somebody laid beside the file.

mod examiner;
mod keygen;
mod listing;
mod waiting;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use record::fingerprint::{self, WORDS_TYPED};
use record::folder::HeldFolder;
use record::signature::{self, Namespace, SignatureFile};
use record::{Error, Hash, Id, Mode, Plan, Program, Result, Rule, escape, folder};
use show::Language;
use terminal::answer::{Answer, Question};
use terminal::texts::{Texts, explained, said};
use terminal::{Asker, fail, give, give_pages, tell};

use examiner::{Assessment, Examiner};
use listing::Listing;

/// What an officer asks for.
pub struct SigningTask {
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
pub struct PendingSignature {
    path: PathBuf,
    bytes: Vec<u8>,
    namespace: Namespace,
    plan: Plan,
    /// What it says, escaped.
    page: Vec<String>,
    /// What could not be checked.
    unchecked: Vec<String>,
    /// Where the signature goes.
    folder: Rc<HeldFolder>,
    /// By which name.
    name: OsString,
    /// Why what lies there is none.
    invalid: Option<String>,
}

/// Shows and signs what waits for a person; the exit code of all of it.
///
/// # Errors
/// [`Error::Ended`] where a question was ended, [`Error::Failed`] where no signature was made,
/// `SIGNATURE-…` where it is not the person's; `DOCUMENT-KIND` where nothing waits.
pub fn sign(task: &SigningTask) -> Result<ExitCode> {
    if !task.key.is_file() {
        let what = format!("{} is no key file", folder::shown(&task.key));
        return Err(Error::usage(what, "--key KEY: your private key; with an agent its .pub"));
    }
    if is_of_age(&task.key)? {
        let what = format!(
            "{} is an age identity or recipient, as custodians have, and signs nothing",
            folder::shown(&task.key)
        );
        let remedy = format!(
            "--key KEY: your SSH key, as `{}` made it; with an agent its .pub",
            Program::SshKeygen.line("-t ed25519")
        );
        return Err(Error::usage(what, remedy));
    }
    let listing = Listing::at(&task.paths)?;
    let mut examiner = Examiner::new(task, &listing);
    let (mut signed, mut already, mut ended) = (0, 0, None);
    for candidate in &listing.files {
        match examiner.examine(candidate) {
            Ok(Assessment::Pending(pending)) if agreed(task, &pending)? => {
                make(task, &pending)?;
                signed += 1;
            }
            Ok(Assessment::Pending(pending)) => {
                tell(&format!("not signed: {}", folder::shown(&pending.path)));
                ended.get_or_insert(ExitCode::from(4));
            }
            Ok(Assessment::Signed) => {
                give(&format!(
                    "already signed by {}: {}",
                    examiner.who,
                    folder::shown(&candidate.path)
                ))?;
                already += 1;
            }
            Ok(Assessment::Void(why)) => {
                tell(&format!("not asked: {}: void, {why}", folder::shown(&candidate.path)))
            }
            Ok(Assessment::NotTheirs) => {}
            // What ends a question ends all of it.
            Err(error) if ends(&error) => return Err(error),
            Err(error) => {
                ended.get_or_insert(fail(&error));
            }
        }
    }
    if signed > 0 {
        let back = "Carry the .sig files back beside the files they sign.";
        give(&format!("{signed} signed by {}. {back}", examiner.who))?;
    }
    match ended {
        Some(code) => Ok(code),
        None if signed + already == 0 => Err(nothing_error(task, &examiner.who)),
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

fn nothing_error(task: &SigningTask, who: &str) -> Error {
    let paths = task.paths.iter().map(|path| folder::shown(path));
    Rule::DocumentKind.refuse(
        format!("{}: nothing that waits for {who}", paths.collect::<Vec<_>>().join(", ")),
        "a plan, a request, a document of your side in its folder, the head of an archive, or a token's report",
        "look what was to be signed, and whether all of it was copied",
    )
}

/// Shows a file, and asks.
fn agreed(task: &SigningTask, pending: &PendingSignature) -> Result<bool> {
    let hash = Hash::of(&pending.bytes);
    give(&format!("== {}  ({})", folder::shown(&pending.path), pending.namespace))?;
    if task.yes {
        if pending.plan.mode != Mode::Rehearsal {
            let what = "--yes serves rehearsals only, and this is production";
            return Err(Error::usage(what, "run it without --yes, and read what is shown"));
        }
        give(&format!("   SHA-256 {hash}"))?;
        return Ok(true);
    }
    let asker = Asker::new(pending.plan.mode);
    give_pages(&asker, &shown(pending, hash).join("\n"))?;
    let question = format!(
        "Sign this as {}? Type yes; or, where another officer reads the words of their screen aloud, type those: ",
        pending.plan.name_of(&task.id)
    );
    loop {
        let typed = asker.line(&question)?;
        match Answer::to(Question::Decide, &typed) {
            Answer::Yes => return Ok(true),
            Answer::No | Answer::Stop => return Ok(false),
            Answer::Other(words) if words.contains(char::is_whitespace) => {
                return fingerprint::confirm(hash, words).map(|()| true);
            }
            _ => asker.say(&Texts::spoken().get("ask.sign", &[])),
        }
    }
}

/// What a file says, against what it was held, and what is signed of it.
fn shown(pending: &PendingSignature, hash: Hash) -> Vec<String> {
    let plan = &pending.plan;
    let mut lines: Vec<String> = pending.page.iter().map(|line| explained(line)).collect();
    lines.push(said(&format!(
        "\nHELD AGAINST the plan of {}, {}, SHA-256 {}",
        plan.ceremony,
        plan.mode,
        plan.hash()
    )));
    if !pending.unchecked.is_empty() {
        lines.push(said("\nNOT CHECKED HERE"));
    }
    lines.extend(pending.unchecked.iter().map(|line| format!("  - {}", said(&escape(line)))));
    if let Some(why) = &pending.invalid {
        lines.push(said(&format!(
            "\n{} IS NO SIGNATURE OF YOURS OVER THIS FILE, and goes if you sign:",
            folder::shown(pending.name.as_ref())
        )));
        lines.extend(why.lines().map(|line| format!("  {}", said(&escape(line)))));
    }
    let hashed = format!("\nSHA-256 of what you sign: {hash}\n  its first {WORDS_TYPED} words:");
    lines.push(said(&hashed));
    lines.push(fingerprint::rows(&hash.as_bytes()[..WORDS_TYPED]));
    lines
}

/// Has a file signed, verifies what came back, and puts it into its place: in the folder that was
/// looked at, which nobody has put another in the place of meanwhile.
fn make(task: &SigningTask, pending: &PendingSignature) -> Result<()> {
    let PendingSignature { bytes, namespace, plan, folder, name, .. } = pending;
    let path = pending.path.with_file_name(name);
    let signature = keygen::sign(&task.key, *namespace, bytes)?;
    let made = [SignatureFile { path, signer: task.id.to_string(), bytes: signature }];
    signature::verify_any(plan, *namespace, bytes, &made)?;
    let [SignatureFile { path, bytes: signature, .. }] = &made;
    folder.ensure_here()?;
    if pending.invalid.is_some() {
        folder.remove(name)?;
    }
    folder.write_alone(name, signature)?;
    give(&format!("   signed: {}", folder::shown(path)))
}
