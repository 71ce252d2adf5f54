//! Custodians: identities, and share files that only their holder can open. Share files are age
//! files (age-encryption.org/v1); their plaintext is a share's text.

use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::{ExposeSecret, SecretString};
use age::{
    Callbacks, DecryptError, Decryptor, Encryptor, Identity, IdentityFile, Recipient, plugin,
    scrypt, x25519,
};
use zeroize::Zeroizing;

use crate::changed;
use crate::share::Share;
use record::{Error, Mode, Result, Rule, escape, quote, with_commands};
use terminal::Asker;

/// The greatest scrypt work factor of a passphrase that is tried, as log2: 2^20 takes about 4 s and
/// 1 GiB on a slow machine. A file that asks for more is made to stall or exhaust this one.
const MAX_WORK_FACTOR: u8 = 20;
/// The greatest size of what is inside a share or identity file, in bytes.
const MAX_INSIDE: u64 = 64 << 10;

/// Asks the person at the keyboard for something without showing it.
pub type Ask<'a> = &'a dyn Fn(&str) -> Result<Zeroizing<String>>;

/// Whether this is a recipient that age takes, of itself or of a plugin.
pub fn is_recipient(text: &str) -> bool {
    text.parse::<x25519::Recipient>().is_ok() || text.parse::<plugin::Recipient>().is_ok()
}

/// Encrypts a share to its custodian, and to the deputy where there is one.
///
/// # Errors
/// `PLAN-FIELD` for a recipient that age does not take.
pub fn encrypt_share(share: &Share, recipients: &[String]) -> Result<Vec<u8>> {
    let share_error = |error: String| age_error("encrypting a share", error);
    let mut all: Vec<Box<dyn Recipient>> = Vec::new();
    for text in recipients {
        if let Ok(recipient) = text.parse::<x25519::Recipient>() {
            all.push(Box::new(recipient));
        } else if let Ok(recipient) = text.parse::<plugin::Recipient>() {
            let name = recipient.plugin().to_owned();
            let plugin = plugin::RecipientPluginV1::new(&name, &[recipient], &[], Silent);
            all.push(Box::new(plugin.map_err(|error| share_error(error.to_string()))?));
        } else {
            return Err(Rule::PlanField.refuse(
                format!("the recipient {}", quote(&escape(text))),
                "an age recipient",
                "the plan must name another recipient: abort, and agree on a new plan",
            ));
        }
    }
    let encryptor = Encryptor::with_recipients(all.iter().map(|recipient| recipient.as_ref()))
        .map_err(|error| share_error(error.to_string()))?;
    encrypt(encryptor, share.text().as_bytes())
}

fn encrypt(encryptor: Encryptor, plain: &[u8]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let written = encryptor.wrap_output(&mut file).and_then(|mut writer| {
        writer.write_all(plain)?;
        writer.finish()
    });
    written.map_err(|error| age_error("encrypting a share", error))?;
    with_armour(&file)
}

/// How an age file begins in ASCII armour.
pub(crate) const ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Whether an identity file is encrypted with a passphrase.
pub fn has_passphrase(file: &[u8]) -> bool {
    Decryptor::new_buffered(ArmoredReader::new(file)).is_ok_and(|decryptor| decryptor.is_scrypt())
}

/// An age file without its ASCII armour: a third less to type.
///
/// # Errors
/// `SHARE-FORMAT` for what is no armoured age file, or not in the one form that Keyferry writes.
pub fn without_armour(file: &[u8]) -> Result<Vec<u8>> {
    let armour_error = |found: String| {
        Rule::ShareFormat.refuse(
            escape(&found),
            "an age file in ASCII armour, as Keyferry writes it",
            "take the file as it was made; an identity must have a passphrase before it is printed",
        )
    };
    let mut bytes = Vec::new();
    ArmoredReader::new(file)
        .take(MAX_INSIDE)
        .read_to_end(&mut bytes)
        .map_err(|error| armour_error(error.to_string()))?;
    match file.starts_with(ARMOUR) && with_armour(&bytes)? == file {
        true => Ok(bytes),
        false => Err(armour_error("another form of file".into())),
    }
}

/// An age file in ASCII armour, whether it has it or not.
///
/// # Errors
/// [`Error::Failed`] where it can't be written.
pub fn with_armour(file: &[u8]) -> Result<Vec<u8>> {
    if file.starts_with(ARMOUR) {
        return Ok(file.to_vec());
    }
    let mut armoured = Vec::new();
    let written =
        ArmoredWriter::wrap_output(&mut armoured, Format::AsciiArmor).and_then(|mut writer| {
            writer.write_all(file)?;
            writer.finish().map(|_| ())
        });
    written.map_err(|error| age_error("armouring a file", error))?;
    Ok(armoured)
}

/// A share whose file was opened.
pub struct OpenedShare {
    /// The share.
    pub share: Share,
    /// The recipients `age1…` of the identity that opened it: whether the custodian came or the
    /// deputy. A plugin's identity tells none.
    pub recipients: Vec<String>,
}

/// Opens a share file with the bytes of an identity file, whatever carried either; `ask` is asked
/// for its passphrase where it has one.
///
/// # Errors
/// `SHARE-IDENTITY` where the identity does not open it, `AGE-PLUGIN` where it needs a program that
/// is not there, `SHARE-FORMAT` where what is inside is no share.
pub fn open_share(file: &[u8], identity: &[u8], ask: Ask) -> Result<OpenedShare> {
    open_share_with(file, identity, ask, &|program| plugin_program(program).map(drop))
}

/// Where the program of a plugin is, as age looks for it on the PATH.
///
/// # Errors
/// `AGE-PLUGIN` where there is none.
pub fn plugin_program(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runs = |file: &PathBuf| {
        let metadata = std::fs::metadata(file);
        metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(runs);
    let shown = escape(program);
    found.ok_or_else(|| {
        Rule::AgePlugin.refuse(
            format!("no program {shown} on the PATH"),
            format!("{shown}, which the recipient or identity of a custodian needs"),
            format!("install {shown} here, from where the officers have it, in production with its SHA-256 in the plan's [software]; or let a deputy, or other custodians, come, who need none"),
        )
    })
}

/// Says whether a plugin may run, by its program's name.
pub type Allow<'a> = &'a dyn Fn(&str) -> Result<()>;

/// As [`open_share`]; `allow` is asked before a plugin runs with the share in hand.
///
/// # Errors
/// As [`open_share`], and what `allow` ends with.
pub fn open_share_with(
    file: &[u8],
    identity: &[u8],
    ask: Ask,
    allow: Allow,
) -> Result<OpenedShare> {
    let made = changed::as_made(file)?;
    let file = made.as_deref().unwrap_or(file);
    let plain = plain_identity(identity, ask)?;
    plugins_of(&plain).iter().try_for_each(|program| allow(program))?;
    let identities = identities(&plain)?;
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(file))
        .map_err(|error| identity_error("the share file", &error))?;
    if decryptor.is_scrypt() {
        return Err(identity_error(
            "the share file",
            &"it is encrypted with a passphrase, not to a recipient",
        ));
    }
    let reader = decryptor
        .decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn Identity))
        .map_err(|error| identity_error("the share file", &why(error)))?;
    Ok(OpenedShare {
        share: Share::parse(&read_inside(reader, "the share file")?)?,
        recipients: recipients_of(&plain)?,
    })
}

/// The programs of the plugins of a plain identity file.
fn plugins_of(plain: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(plain).unwrap_or_default();
    let identities = text.lines().filter_map(|line| line.trim().parse::<plugin::Identity>().ok());
    identities.map(|one| format!("age-plugin-{}", one.plugin())).collect()
}

/// The recipients of the X25519 identities of a plain identity file.
fn recipients_of(plain: &[u8]) -> Result<Vec<String>> {
    let text = std::str::from_utf8(plain);
    let text = text.map_err(|error| identity_error("the identity file", &error))?;
    let identities = text.lines().filter_map(|line| line.trim().parse::<x25519::Identity>().ok());
    Ok(identities.map(|one| one.to_public().to_string()).collect())
}

fn read_inside(reader: impl Read, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut inside = Zeroizing::new(Vec::with_capacity(MAX_INSIDE as usize + 1));
    reader
        .take(MAX_INSIDE + 1)
        .read_to_end(&mut inside)
        .map_err(|error| identity_error(what, &error))?;
    if inside.len() as u64 > MAX_INSIDE {
        return Err(identity_error(what, &"more inside than any share or identity"));
    }
    Ok(inside)
}

/// An identity file in the clear: as it is, or decrypted with its passphrase.
fn plain_identity(file: &[u8], ask: Ask) -> Result<Zeroizing<Vec<u8>>> {
    let made = changed::as_made(file)?;
    let file = made.as_deref().unwrap_or(file);
    let encrypted = Decryptor::new_buffered(ArmoredReader::new(file)).ok();
    let Some(decryptor) = encrypted.filter(Decryptor::is_scrypt) else {
        return changed::identity_lines(file)
            .ok_or_else(|| identity_error("the identity file", &"no text"));
    };
    let passphrase = ask("Passphrase of the identity: ")?;
    let mut scrypt = scrypt::Identity::new(SecretString::from(passphrase.as_str().to_owned()));
    scrypt.set_max_work_factor(MAX_WORK_FACTOR);
    let identity: &dyn Identity = &scrypt;
    let reader = decryptor
        .decrypt(std::iter::once(identity))
        .map_err(|error| identity_error("the identity file", &why(error)))?;
    read_inside(reader, "the identity file")
}

/// The identities of a plain identity file.
fn identities(plain: &[u8]) -> Result<Vec<Box<dyn Identity + Send + Sync>>> {
    let begins = |line: &[u8]| plain.split(|byte| *byte == b'\n').any(|one| one.starts_with(line));
    if begins(b"-----BEGIN OPENSSH PRIVATE KEY") || begins(b"ssh-") || begins(b"sk-ssh-") {
        return Err(identity_error(
            "the identity file",
            &with_commands(
                "an SSH key, with which officers sign; a custodian's identity is the file that `{custodian identity new FILE}` made",
            ),
        ));
    }
    if begins(b"age1") {
        return Err(identity_error(
            "the identity file",
            &with_commands(
                "a recipient, age1…: the public half; the identity is the file that `{custodian identity new FILE}` made",
            ),
        ));
    }
    let parsed = IdentityFile::from_buffer(BufReader::new(plain))
        .map_err(|error| identity_error("the identity file", &error))?;
    let identities = parsed.with_callbacks(Silent).into_identities();
    identities.map_err(|error| identity_error("the identity file", &error))
}

/// Why age did not open it. Its own text for too much work is not used: it computes 2 to the
/// difference, and overflows.
fn why(error: DecryptError) -> String {
    match error {
        DecryptError::ExcessiveWork { required, .. } => {
            format!("it asks for scrypt work of 2^{required}; at most 2^{MAX_WORK_FACTOR} is done")
        }
        other => other.to_string(),
    }
}

fn identity_error(what: &str, error: &dyn std::fmt::Display) -> Error {
    Rule::ShareIdentity.refuse(
        format!("{what}: {}", said(error)),
        "a custodian's share file, and the identity (and passphrase) of that custodian or their deputy",
        "check that file and identity belong to the same person, and type the passphrase again",
    )
}

/// What age says, in one line, without the marks that it puts around names for texts that run from
/// right to left (Unicode's isolates), which nobody sees.
fn said(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let seen = text.chars().filter(|c| !matches!(c, '\u{2066}'..='\u{2069}'));
    let seen: String = seen.collect();
    escape(&seen.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn age_error(what: &str, error: impl std::fmt::Display) -> Error {
    Error::failed(
        format!("{what}: {}", said(&error)),
        "check that the age plugin of the recipient is installed",
    )
}

/// A new identity: its file's bytes, and its recipient for the plan.
pub struct NewIdentity {
    /// The identity file, encrypted where a passphrase was given.
    pub file: Zeroizing<Vec<u8>>,
    /// `age1…`
    pub recipient: String,
}

/// Makes an X25519 identity.
///
/// # Errors
/// [`Error::Failed`] where it can't be encrypted.
pub fn new_identity(passphrase: Option<Zeroizing<String>>) -> Result<NewIdentity> {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let head = format!(
        "# a custodian's identity for a key ceremony; keep it secret\n# public key: {recipient}\n"
    );
    let plain = Zeroizing::new(format!("{head}{}\n", secret.expose_secret()).into_bytes());
    let file = match passphrase {
        None => plain,
        Some(passphrase) => {
            let passphrase = SecretString::from(passphrase.as_str().to_owned());
            Zeroizing::new(encrypt(Encryptor::with_user_passphrase(passphrase), &plain)?)
        }
    };
    Ok(NewIdentity { file, recipient })
}

/// A plugin may show what its hardware needs; it gets no secret from here.
#[derive(Clone)]
struct Silent;

impl Callbacks for Silent {
    fn display_message(&self, message: &str) {
        terminal::tell(&escape(message));
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let typed =
            Asker::new(Mode::Production).hidden(&format!("{}: ", escape(description))).ok()?;
        Some(SecretString::from(typed.as_str().to_owned()))
    }
}
