//! Copies of one log, read side by side, a piece of each at a time: a shorter one is the beginning
//! of the longest, or the log was forked.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result, document::Listed, encoding::Hash, escape::escape, folder, log::MAX_LOG,
    plan::Side, rule::Rule,
};

/// How much of a line is shown where copies differ, in bytes.
const SHOWN: u64 = 1200;

/// One copy of a log.
pub struct Copy {
    name: String,
    file: File,
    length: u64,
    /// What the document that it travelled with lists; it is held to that once more, as it is read
    /// here.
    listed: Option<Listed>,
    sha: Sha256,
}

impl Copy {
    /// Opens a copy.
    ///
    /// # Errors
    /// As [`folder::open_file`].
    pub fn open(name: &str, path: &Path, listed: Option<Listed>) -> Result<Self> {
        let file = folder::open_file(path, MAX_LOG)?;
        let metadata = file.metadata().map_err(|error| Error::file(path, error))?;
        Ok(Copy { name: name.to_owned(), length: metadata.len(), file, listed, sha: Sha256::new() })
    }

    /// As much as there is, up to the whole buffer.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sha.update(&buffer[..filled]);
        Ok(filled)
    }

    /// The beginning of a line, for people.
    fn line_at(&mut self, offset: u64) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(offset))?;
        (&mut self.file).take(SHOWN).read_to_end(&mut bytes)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(line).chars().take(300).collect())
    }
}

/// Where copies part.
struct Fork {
    /// Which of the others.
    other: usize,
    /// The number of the line, from 1.
    line: u64,
    /// Where the line begins, in bytes.
    start: u64,
}

/// The longest copy, for as long as the others say the same.
pub struct Lockstep {
    longest: Copy,
    others: Vec<Copy>,
    buffer: Vec<u8>,
    /// How many whole lines were read.
    lines: u64,
    /// Where the next begins, and how far was read, in bytes.
    start: u64,
    read: u64,
    /// Whether the longest was read to its end, and so all were.
    ended: bool,
    fork: Option<Fork>,
}

impl Lockstep {
    /// Copies to be read together; none where there are none.
    pub fn new(mut copies: Vec<Copy>) -> Option<Self> {
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.length));
        let mut copies = copies.into_iter();
        Some(Lockstep {
            longest: copies.next()?,
            others: copies.collect(),
            buffer: Vec::new(),
            lines: 0,
            start: 0,
            read: 0,
            ended: false,
            fork: None,
        })
    }

    /// What the longest is called.
    pub fn name(&self) -> String {
        self.longest.name.clone()
    }

    /// Whether all copies said the same, up to where the reading ended, and each what its document
    /// lists.
    ///
    /// # Errors
    /// `LOG-CHAIN` with the first entry that differs, as each copy has it; `DOCUMENT-HASH`.
    pub fn agree(mut self, side: Side) -> Result<()> {
        if let Some(fork) = self.fork.take() {
            return Err(self.forked(fork, side));
        }
        for copy in std::iter::once(self.longest).chain(self.others) {
            let found = Hash(copy.sha.finalize().into());
            if let Some(listed) = copy.listed.filter(|listed| self.ended && listed.hash != found) {
                return Err(Rule::DocumentHash.refuse(
                    format!("{} has SHA-256 {found}", copy.name),
                    listed.hash.to_string(),
                    "it was changed while it was verified: find out by what, and verify an unchanged copy",
                ));
            }
        }
        Ok(())
    }

    fn forked(mut self, fork: Fork, side: Side) -> Error {
        let Some(other) = self.others.get_mut(fork.other) else {
            return Error::failed("a copy of a log is gone", "verify again");
        };
        let lines = (self.longest.line_at(fork.start))
            .and_then(|left| Ok((left, other.line_at(fork.start)?)));
        let (left, right) = match lines {
            Ok(lines) => lines,
            Err(error) => return Error::file(Path::new(&self.longest.name), error),
        };
        let number = fork.line;
        Rule::LogChain.refuse(
            escape(&format!(
                "a fork: entry {number} is {left} in {}, and {right} in {}",
                self.longest.name, other.name
            )),
            format!("one entry {number} in every copy of the {side}'s log"),
            "somebody rewrote a log: ask both sides for their copies, and compare them with the signed heads",
        )
    }

    /// Notes where a copy says something else, at this byte of what was just read.
    fn part(&mut self, other: usize, read: &[u8], at: usize) {
        let before = &read[..at];
        let ends = before.iter().filter(|byte| **byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n');
        self.fork = Some(Fork {
            other,
            line: self.lines + ends as u64 + 1,
            start: start.map_or(self.start, |last| self.read + last as u64 + 1),
        });
    }
}

impl Read for Lockstep {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.longest.fill(out)?;
        let read = &out[..count];
        // At the end of the longest a byte more of another would be one that nobody compares.
        self.buffer.resize(count.max(1), 0);
        for n in 0..self.others.len() {
            let found = self.others[n].fill(&mut self.buffer)?;
            let differs =
                (self.buffer[..found].iter().zip(read)).position(|(left, right)| left != right);
            if let Some(at) = differs.or((found > count).then_some(count)) {
                self.part(n, read, at);
                return Err(io::Error::other("copies of the log differ"));
            }
        }
        let ends = read.iter().filter(|byte| **byte == b'\n').count();
        self.lines += ends as u64;
        if let Some(last) = read.iter().rposition(|byte| *byte == b'\n') {
            self.start = self.read + last as u64 + 1;
        }
        self.read += count as u64;
        self.ended = count == 0;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads copies with these bytes together: what the longest said, or the refusal.
    fn together(copies: &[&[u8]], listed: Option<&[u8]>) -> Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let open = |(n, bytes): (usize, &&[u8])| {
            let path = folder.path().join(n.to_string());
            std::fs::write(&path, bytes).unwrap();
            let listed = listed.filter(|_| n == 0).map(Listed::of);
            Copy::open(&format!("copy {n}"), &path, listed).unwrap()
        };
        let mut lockstep = Lockstep::new(copies.iter().enumerate().map(open).collect()).unwrap();
        let mut all = Vec::new();
        let read = std::io::BufReader::with_capacity(64, &mut lockstep).read_to_end(&mut all);
        let agreed = lockstep.agree(Side::Tenant);
        assert_eq!(
            read.is_err(),
            agreed.as_ref().is_err_and(|error| error.rule() == Some(Rule::LogChain))
        );
        agreed.map(|()| all)
    }

    fn lines(count: usize) -> Vec<u8> {
        (1..=count)
            .flat_map(|n| format!("line {n} {}\n", "x".repeat(n % 90)).into_bytes())
            .collect()
    }

    #[test]
    fn every_beginning_of_the_longest_agrees() {
        let whole = lines(30);
        for cut in 0..=whole.len() {
            assert_eq!(together(&[&whole[..cut], &whole, &whole[..cut / 2]], None).unwrap(), whole);
        }
        assert_eq!(together(&[b""], None).unwrap(), b"");
    }

    #[test]
    fn every_changed_byte_is_a_fork_in_its_line() {
        let whole = lines(30);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] = b'?';
            let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count();
            let shown = whole.split(|byte| *byte == b'\n').nth(line - 1).unwrap();
            let shown = String::from_utf8_lossy(shown).into_owned();
            // One that is cut off there is a fork all the same.
            for other in [&changed[..], &changed[..=at]] {
                let error = together(&[other, &whole], None).unwrap_err().to_string();
                let fork = format!("a fork: entry {line} is ");
                assert!(error.contains(&fork) && error.contains(&shown), "{error}");
            }
        }
    }

    #[test]
    fn a_copy_is_still_what_its_document_lists() {
        let whole = lines(5);
        assert!(together(&[&whole[..50], &whole], Some(&whole[..50])).is_ok());
        let error = together(&[&whole[..50], &whole], Some(&whole[..49])).unwrap_err();
        assert_eq!(error.rule(), Some(Rule::DocumentHash));
    }
}
