//! Files as texts for QR codes: `KF1/<id>/<i>-<n>/<data>`, which a camera may read in any order,
//! twice, and on several days. Every character is of the alphanumeric mode of QR codes (ISO/IEC
//! 18004, 7.4.4), so that 11 bits carry two of them.

use std::collections::BTreeMap;

use data_encoding::BASE32_NOPAD;

use record::encoding::enc;
use record::{Hash, Result, Rule, escape, list};

/// How every frame begins.
pub const PREFIX: &str = "KF1/";
/// What the payload begins with.
const LABEL: &std::ffi::CStr = c"keyferry/1 frames";
/// How much one frame carries, in bytes: its text then fits version 15 at level Q, which is read
/// from a worn page; version 20, the densest that is made, would carry 425.
const CHUNK: usize = 250;
/// The greatest number of frames of one payload.
pub const MOST_FRAMES: usize = 640;
/// The greatest number of files of one payload.
const MOST_FILES: usize = 64;
/// The length of an id, in characters: 40 bits of the payload's hash.
const ID: usize = 8;

/// A file that crosses: a name of one or two parts, such as `offer/offer.json`, and its bytes.
pub type NamedFile = (String, Vec<u8>);

/// The frames of some files.
///
/// # Errors
/// `FRAME-FORMAT` for more than frames can carry.
pub fn frames(files: &[NamedFile]) -> Result<Vec<String>> {
    let mut parts: Vec<&[u8]> = Vec::with_capacity(2 * files.len());
    for (name, bytes) in files {
        check_name(name)?;
        parts.extend([name.as_bytes(), bytes.as_slice()]);
    }
    let payload = enc(LABEL, &parts);
    let hash = Hash::of(&payload);
    let whole = [hash.as_bytes(), &payload].concat();
    let count = whole.len().div_ceil(CHUNK);
    Rule::FrameFormat.ensure(
        count <= MOST_FRAMES && files.len() <= MOST_FILES,
        format!("{} files, {} bytes", files.len(), payload.len()),
        format!("at most {MOST_FILES} files, {MOST_FRAMES} frames of {CHUNK} bytes"),
        "carry this on a medium: it is too much for a camera",
    )?;
    let id = id_of(&hash);
    let chunks = whole.chunks(whole.len().div_ceil(count)).enumerate();
    let frame = |(n, chunk): (usize, &[u8])| {
        format!("{PREFIX}{id}/{}-{count}/{}", n + 1, BASE32_NOPAD.encode(chunk))
    };
    Ok(chunks.map(frame).collect())
}

fn id_of(hash: &Hash) -> String {
    BASE32_NOPAD.encode(hash.as_bytes()).chars().take(ID).collect()
}

/// Frames that were read, of any number of payloads.
#[derive(Default)]
pub struct ScannedFrames(BTreeMap<String, Pieces>);

struct Pieces {
    count: usize,
    read: BTreeMap<usize, Vec<u8>>,
}

/// How far a payload has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which payload.
    pub id: String,
    /// Of how many frames.
    pub count: usize,
    /// The numbers of those that are missing.
    pub missing: Vec<usize>,
}

impl ScannedFrames {
    /// Takes one frame. One that was read before changes nothing.
    ///
    /// # Errors
    /// `FRAME-FORMAT` for a text that is no frame, or contradicts what was read of the same
    /// payload.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let (id, number, count, data) = parse(text)?;
        let pieces =
            self.0.entry(id.clone()).or_insert_with(|| Pieces { count, read: BTreeMap::new() });
        let before = pieces.read.get(&number);
        if pieces.count != count || before.is_some_and(|before| *before != data) {
            return Err(frame_error(format!(
                "a frame {number} of {count} that contradicts another of {id}"
            )));
        }
        pieces.read.insert(number, data);
        Ok(())
    }

    /// Every payload of which something was read.
    pub fn progress(&self) -> Vec<Progress> {
        let one = |(id, pieces): (&String, &Pieces)| Progress {
            id: id.clone(),
            count: pieces.count,
            missing: (1..=pieces.count)
                .filter(|number| !pieces.read.contains_key(number))
                .collect(),
        };
        self.0.iter().map(one).collect()
    }

    /// The files of every payload.
    ///
    /// # Errors
    /// `FRAME-MISSING` naming what is missing; `FRAME-HASH`, `FRAME-FORMAT`.
    pub fn finish(self) -> Result<Vec<NamedFile>> {
        for Progress { id, count, missing } in self.progress() {
            Rule::FrameMissing.ensure(
                missing.is_empty(),
                format!("no frame {} of the {count} with the id {id}", list(&missing)),
                "every frame at least once, in any order",
                "photograph the missing ones, and scan all pictures once more",
            )?;
        }
        let files = self.0.into_iter().map(|(id, pieces)| opened(&id, pieces));
        Ok(files.collect::<Result<Vec<_>>>()?.concat())
    }
}

fn opened(id: &str, pieces: Pieces) -> Result<Vec<NamedFile>> {
    let whole: Vec<u8> = pieces.read.into_values().flatten().collect();
    let (hash, payload) =
        whole.split_at_checked(32).ok_or_else(|| frame_error("frames without a hash"))?;
    let found = Hash::of(payload);
    Rule::FrameHash.ensure(
        found.as_bytes() == hash && id_of(&found) == id,
        format!("the frames {id} give a payload with SHA-256 {found}"),
        "the hash that the first frame names",
        "scan all of them once more; if it stays so, they were made wrong or exchanged",
    )?;
    files_of(payload).ok_or_else(|| frame_error("a payload that is no list of files"))
}

fn files_of(payload: &[u8]) -> Option<Vec<NamedFile>> {
    let mut rest = payload.strip_prefix(LABEL.to_bytes_with_nul())?;
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (part, after) = after.split_at_checked(length)?;
        rest = after;
        Some((part, rest.is_empty()))
    };
    let mut files: Vec<NamedFile> = Vec::new();
    loop {
        let name = String::from_utf8(part()?.0.to_vec()).ok()?;
        let (bytes, last) = part()?;
        check_name(&name).ok()?;
        if files.iter().any(|(other, _)| *other == name) || files.len() == MOST_FILES {
            return None;
        }
        files.push((name, bytes.to_vec()));
        if last {
            return Some(files);
        }
    }
}

/// One or two parts of letters, digits, `.`, `-` and `_`, none beginning with a dot: nothing that
/// leads elsewhere.
fn check_name(name: &str) -> Result<()> {
    let fits = |part: &str| {
        !part.is_empty()
            && part.len() <= 120
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let parts: Vec<&str> = name.split('/').collect();
    match parts.len() <= 2 && parts.into_iter().all(fits) {
        true => Ok(()),
        false => Err(frame_error(format!("the file name {}", escape(name)))),
    }
}

fn parse(text: &str) -> Result<(String, usize, usize, Vec<u8>)> {
    let parsed = || {
        let rest = text.trim().strip_prefix(PREFIX)?;
        let mut parts = rest.split('/');
        let (id, place, data) = (parts.next()?, parts.next()?, parts.next()?);
        let (number, count) = place.split_once('-')?;
        let (number, count) = (decimal(number)?, decimal(count)?);
        let fits = id.len() == ID
            && BASE32_NOPAD.decode(id.as_bytes()).is_ok()
            && (1..=count).contains(&number)
            && count <= MOST_FRAMES
            && data.len() <= BASE32_NOPAD.encode_len(CHUNK)
            && parts.next().is_none();
        let data = BASE32_NOPAD.decode(data.as_bytes()).ok()?;
        fits.then(|| (id.to_owned(), number, count, data))
    };
    parsed().ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        frame_error(format!("the text {}", escape(&shown)))
    })
}

/// A number as it is written here: no sign, no zero before it.
fn decimal(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn frame_error(found: impl Into<String>) -> record::Error {
    Rule::FrameFormat.refuse(
        found,
        "a frame of Keyferry's QR codes: KF1/ID/NUMBER-COUNT/DATA",
        "scan the code again; another program's codes cannot be taken",
    )
}
