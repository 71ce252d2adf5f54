//! Values that people compare: read aloud as PGP words by one, typed by another, never "do these
//! match?".

use crate::{Hash, Result, Rule};

/// How many of the 32 words are read aloud and typed: 16 words, 128 bits.
pub const WORDS_TYPED: usize = 16;

/// The PGP words of these bytes, one per byte (even and odd positions use different lists, so that
/// words swapped or left out are noticed).
pub fn words(bytes: &[u8]) -> Vec<&str> {
    pgp_words::to_words(bytes)
}

/// The words of a place (from 0) that begin as somebody types.
pub fn words_beginning(typed: &str, place: usize) -> Vec<String> {
    let typed = typed.to_lowercase();
    let all = (0..=u8::MAX).map(|byte| {
        let before = [0, byte];
        let words = match place % 2 {
            0 => pgp_words::to_words(&before[1..]),
            _ => pgp_words::to_words(&before),
        };
        words.last().map_or(String::new(), |word| (*word).to_owned())
    });
    all.filter(|word| word.to_lowercase().starts_with(&typed)).collect()
}

/// The bytes of words as people type them, in any case; `None` where one is no word of its place.
pub fn bytes(typed: &[String]) -> Option<Vec<u8>> {
    let lower: Vec<String> = typed.iter().map(|word| word.to_lowercase()).collect();
    pgp_words::to_bytes(&lower)
}

/// A hash as people have it on paper: 64 hex characters, or its 32 words, in any case.
///
/// # Errors
/// What was found instead.
pub fn hash_from_paper(text: &str) -> std::result::Result<Hash, String> {
    let lower = text.trim().to_lowercase();
    let typed: Vec<String> = lower.split_whitespace().map(str::to_owned).collect();
    if let [hex] = typed.as_slice() {
        return hex.parse();
    }
    let found = bytes(&typed).and_then(|bytes| bytes.try_into().ok());
    found.map(Hash).ok_or_else(|| {
        format!(
            "{} words, or one that is no word of its place; expected 64 hex characters or 32 words",
            typed.len()
        )
    })
}

/// The words in short rows, each with the number of its first: what is read aloud is read and typed
/// row by row.
pub fn rows(bytes: &[u8]) -> String {
    const ROW: usize = 4;
    let words = words(bytes);
    let row = |(n, row): (usize, &[&str])| format!("  {:>2}  {}", n * ROW + 1, row.join(" "));
    words.chunks(ROW).enumerate().map(row).collect::<Vec<_>>().join("\n")
}

/// Confirms a value by its first 16 words, as typed: any case, any white space.
///
/// # Errors
/// `WORDS-MISMATCH`, naming the first word that differs by its position, never by what is right.
pub fn confirm(value: Hash, typed: &str) -> Result<()> {
    match_words(&words(&value.0)[..WORDS_TYPED], typed).map_err(|found| {
        Rule::WordsMismatch.refuse(
            found,
            format!("the first {WORDS_TYPED} words, as read aloud over the second channel"),
            "have the words read again, slowly; if they still differ, stop: this is not the value that the other side has",
        )
    })
}

/// Compares typed words with the right ones.
///
/// # Errors
/// What is wrong: their number, or the position of the first that differs.
pub fn match_words(right: &[&str], typed: &str) -> std::result::Result<(), String> {
    let typed: Vec<String> = typed.split_whitespace().map(str::to_lowercase).collect();
    if typed.len() != right.len() {
        return Err(format!("{} words", typed.len()));
    }
    match typed.iter().zip(right).position(|(typed, right)| *typed != right.to_lowercase()) {
        Some(wrong) => Err(format!("word {} differs", wrong + 1)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_words_confirm_and_nothing_else_does() {
        let value = Hash::of(b"a KEK");
        let right = words(&value.0);
        assert_eq!(right.len(), 32);
        let typed = right[..16].join("  ").to_uppercase();
        confirm(value, &typed).unwrap();
        for wrong in [right[..15].join(" "), right.join(" "), String::new(), right[1..17].join(" ")]
        {
            assert_eq!(confirm(value, &wrong).unwrap_err().rule(), Some(Rule::WordsMismatch));
        }
        let paper = right.join(" ");
        for paper in [paper.clone(), paper.to_uppercase(), value.to_string()] {
            assert_eq!(hash_from_paper(&paper), Ok(value));
        }
        let mut wrong = right.clone();
        wrong.swap(3, 4);
        for paper in [&right[..31], &wrong, &right[..1], &[]] {
            assert!(hash_from_paper(&paper.join(" ")).is_err(), "{paper:?}");
        }
        let mut swapped = right[..16].to_vec();
        swapped.swap(3, 4);
        let error = confirm(value, &swapped.join(" ")).unwrap_err().to_string();
        assert!(error.contains("word 4 differs"), "{error}");
    }
}
