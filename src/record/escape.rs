//! Foreign text made harmless before a person sees it.

/// The greatest number of characters that are shown of a foreign text.
pub const MAX_SHOWN: usize = 4000;

/// Foreign text (names, paths, what a plugin says) made fit for a terminal: control, bidirectional,
/// invisible and unassigned characters are shown as `\u{…}`. Escaping twice changes nothing. More
/// than 4000 characters are cut.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut buffer = String::new();
    for (n, character) in text.chars().enumerate() {
        if n == MAX_SHOWN {
            shown.push('…');
            break;
        }
        if is_blank(character) {
            shown.extend(character.escape_unicode());
        } else if character == ' ' || character.is_ascii_graphic() {
            shown.push(character);
        } else {
            // After a letter combining marks, which Thai or Hindi names need, pass as they are.
            buffer.clear();
            buffer.extend(['x', character]);
            shown.extend(buffer.escape_debug().skip(1));
        }
    }
    shown
}

/// A text in quotation marks, with what would end them or cannot be printed written out.
pub fn quote(text: &str) -> String {
    format!("{text:?}")
}

/// A value of ours that has no words of its own, as JSON in one line, fit for a terminal.
pub fn json(value: &impl serde::Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => escape(&text),
        Err(error) => error.to_string(),
    }
}

/// Letters and marks that nobody sees, which Unicode does not count among the non-printing.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_move_the_cursor_or_hide() {
        assert_eq!(escape("a\u{1b}[2J\nb\u{7f}\u{9b}"), "a\\u{1b}[2J\\nb\\u{7f}\\u{9b}");
        for foul in "\u{202e}\u{2066}\u{200b}\u{200d}\u{feff}\u{ad}\u{61c}\u{2028}\u{e000}\u{e0041}\u{fe0f}\u{3164}\u{2800}\u{a0}".chars() {
            assert!(escape(&foul.to_string()).is_ascii(), "{foul:?}");
        }
        let fine = "Zoë Zoe\u{308} 'Ода' \"สวัสดี\" C:\\新";
        assert_eq!(escape(fine), fine);
        let once = escape("\\\u{1b}\u{202e}");
        assert_eq!(escape(&once), once);
        assert_eq!(escape(&"x".repeat(9000)).chars().count(), 4001);
    }

    #[test]
    fn a_text_ends_where_its_quotation_marks_do() {
        assert_eq!(quote("Zoë's \"key\"\n"), r#""Zoë's \"key\"\n""#);
        assert_eq!(json(&["a\u{202e}b", "\""]), r#"["a\u{202e}b","\""]"#);
    }
}
