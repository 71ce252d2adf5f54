//! Words that somebody hears and types: the letters that tell a word are enough, and a wrong one is
//! shown at once.

use crate::Asker;
use record::escape::quote;
use record::rule::Rule;
use record::{Result, fingerprint};

/// How many wrong words are let pass: somebody mishears, and nobody guesses.
const MOST_WRONG: usize = 5;

/// Asks for words, one after another or several at a time, until there are as many as `count`.
/// Where `right` is known, a word that is not the right one is said to be wrong, never what is
/// right.
///
/// # Errors
/// As [`Asker::line`]; `WORDS-MISMATCH` after too many wrong words.
pub fn ask(asker: &Asker, prompt: &str, count: usize, right: Option<&[&str]>) -> Result<String> {
    if !asker.is_interactive() {
        return asker.line(prompt);
    }
    asker.say(prompt.trim_end());
    asker.say(&format!(
        "{count} words, one at a time or several; the first letters that tell a word are enough."
    ));
    let (mut words, mut wrong) = (Vec::new(), 0);
    while words.len() < count {
        let answer = asker.line(&format!("Word {} of {count}: ", words.len() + 1))?;
        for typed in answer.split_whitespace() {
            let place = words.len();
            if place == count {
                wrong += 1;
                asker.say(&format!(
                    "Those are more than {count} words; the first {count} were taken."
                ));
                break;
            }
            match one(typed, place, right) {
                Ok(word) => {
                    if !word.eq_ignore_ascii_case(typed) {
                        asker.say(&format!("  {}: {word}", place + 1));
                    }
                    words.push(word);
                }
                Err(why) => {
                    wrong += 1;
                    asker.say(&format!("  word {}: {why}", place + 1));
                    break;
                }
            }
        }
        if wrong > MOST_WRONG {
            return Err(Rule::WordsMismatch.refuse(
                format!("{wrong} wrong words"),
                "the words as they are read aloud over the second channel",
                "have them read again, slowly; if they still differ, stop: this is not the value that the other side has",
            ));
        }
    }
    Ok(words.join(" "))
}

fn one(typed: &str, place: usize, right: Option<&[&str]>) -> std::result::Result<String, String> {
    let fits = fingerprint::words_beginning(typed, place);
    let word = match fits.as_slice() {
        [] => {
            return Err(format!("{} is no word of this place; have it read again", quote(typed)));
        }
        [word] => word.clone(),
        several => match several.iter().find(|word| word.eq_ignore_ascii_case(typed)) {
            Some(word) => word.clone(),
            None => {
                return Err(format!(
                    "{} may be {}; type more of it",
                    quote(typed),
                    several.join(", ")
                ));
            }
        },
    };
    match right.and_then(|right| right.get(place)) {
        Some(right) if !right.eq_ignore_ascii_case(&word) => {
            Err(format!("{} is not the word of this place; have it read again", quote(&word)))
        }
        _ => Ok(word),
    }
}
