//! Words that somebody hears and types: the letters that tell a word are enough. A wrong one is
//! said to be wrong at once, never what is right; and only so often, so that the screen is no
//! oracle and somebody has to listen.

use crate::answer::{Answer, Question};
use crate::texts::Texts;
use crate::{Asker, Recorder, ended};
use record::fingerprint::{self, WORDS_TYPED};
use record::{Error, Hash, Result, Rule, quote};

/// How many wrong words are allowed: enough for mishearing, too few for guessing.
const MOST_WRONG: usize = 5;
/// How often the question then begins again at word 1.
const MOST_BEGUN_AGAIN: usize = 3;

/// What is known of the words beforehand.
#[derive(Clone, Copy)]
pub enum WordsHint {
    /// They are the first of this hash.
    First(Hash),
    /// How many there are.
    Count(usize),
}

impl WordsHint {
    fn count(self) -> usize {
        match self {
            WordsHint::First(_) => WORDS_TYPED,
            WordsHint::Count(count) => count,
        }
    }
}

/// Asks for words, one after another or several at a time, until there are all. Punctuation and
/// case say nothing, and what can't be read, or may be several words, costs nothing. The clerk puts
/// on record what is said, and that the question began again.
///
/// # Errors
/// As [`Asker::line`]; `WORDS-MISMATCH` after too many wrong words; what recording can end with.
pub fn ask(
    asker: &Asker,
    prompt: &str,
    hint: WordsHint,
    clerk: &mut dyn Recorder,
) -> Result<String> {
    if !asker.is_interactive() {
        return asker.line(prompt);
    }
    let mut hearing = Hearing { asker, texts: Texts::spoken(), hint, words: Vec::new(), wrong: 0 };
    asker.say(prompt.trim_end());
    hearing.explain();
    let mut begun_again = 0;
    while hearing.words.len() < hint.count() {
        let place = (hearing.words.len() + 1).to_string();
        let count = hint.count().to_string();
        let question = hearing.texts.get("words.word", &[("n", &place), ("m", &count)]);
        let typed = match asker.line(&question) {
            Ok(typed) => typed,
            Err(error) => return hearing.left(clerk, error),
        };
        match Answer::to(Question::Words, &typed) {
            Answer::Stop | Answer::No => return hearing.left(clerk, ended("q")),
            Answer::Explain => hearing.explain(),
            Answer::Note => asker.remark(clerk)?,
            Answer::Nothing | Answer::Yes => {}
            Answer::Other(text) => hearing.take(text),
        }
        if hearing.wrong < MOST_WRONG {
            continue;
        }
        if begun_again == MOST_BEGUN_AGAIN {
            return Err(mismatch_error());
        }
        begun_again += 1;
        let found = format!(
            "{MOST_WRONG} wrong words; begun again at word 1 ({begun_again} of {MOST_BEGUN_AGAIN})"
        );
        clerk.refused(Rule::WordsMismatch, found)?;
        (hearing.words, hearing.wrong) = (Vec::new(), 0);
        asker.say(&hearing.texts.get("words.again", &[]));
    }
    Ok(hearing.words.join(" "))
}

fn mismatch_error() -> Error {
    Rule::WordsMismatch.refuse(
        format!("{MOST_WRONG} wrong words, and begun again {MOST_BEGUN_AGAIN} times"),
        "the words as they are read aloud over the second channel",
        "have them read again, slowly; if they still differ, stop: this is not the value that the other side has",
    )
}

/// Words as they are typed.
struct Hearing<'a> {
    asker: &'a Asker,
    texts: Texts,
    hint: WordsHint,
    words: Vec<String>,
    wrong: usize,
}

impl Hearing<'_> {
    /// Ends it. Wrong words are on record then too: nobody guesses and leaves, as often as they like.
    fn left(&self, clerk: &mut dyn Recorder, error: Error) -> Result<String> {
        if self.wrong > 0 {
            clerk.refused(Rule::WordsMismatch, format!("{} wrong words, and left", self.wrong))?;
        }
        Err(error)
    }

    fn explain(&self) {
        let count = self.hint.count().to_string();
        self.asker.say(&self.texts.get("words.how", &[("m", &count)]));
    }

    /// Takes the words of an answer, up to the first that is none.
    fn take(&mut self, text: &str) {
        let letters = |c: char| !c.is_alphabetic();
        let mut typed = text.split(letters).filter(|word| !word.is_empty()).peekable();
        if typed.peek().is_none() {
            self.say(self.words.len(), "words.unreadable", text);
        }
        for typed in typed {
            let place = self.words.len();
            if place == self.hint.count() {
                self.say(place, "words.more", typed);
                return;
            }
            let fits = fingerprint::words_beginning(typed, place);
            let whole = fits.iter().find(|word| word.eq_ignore_ascii_case(typed));
            let word = match (whole, fits.as_slice()) {
                (Some(word), _) | (None, [word]) => word,
                (None, []) => return self.say(place, "words.unreadable", typed),
                (None, _) => return self.several(place, typed, &fits),
            };
            if let WordsHint::First(hash) = self.hint
                && !fingerprint::words(hash.as_bytes())[place].eq_ignore_ascii_case(word)
            {
                self.wrong += 1;
                return self.say(place, "words.wrong", word);
            }
            if !word.eq_ignore_ascii_case(typed) {
                self.asker.say(&format!("  {}: {word}", place + 1));
            }
            self.words.push(word.clone());
        }
    }

    fn say(&self, place: usize, key: &str, typed: &str) {
        let (n, m) = ((place + 1).to_string(), self.hint.count().to_string());
        let values = [("n", n.as_str()), ("m", m.as_str()), ("typed", &quote(typed))];
        self.asker.say(&self.texts.get(key, &values));
    }

    fn several(&self, place: usize, typed: &str, fits: &[String]) {
        const SHOWN: usize = 6;
        let shown = fits.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if fits.len() > SHOWN { ", \u{2026}" } else { "" };
        let (n, words) = ((place + 1).to_string(), format!("{shown}{more}"));
        let values = [("n", n.as_str()), ("typed", &quote(typed)), ("words", &words)];
        self.asker.say(&self.texts.get("words.several", &values));
    }
}
