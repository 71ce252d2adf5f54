//! What a file says, as it stands there: names in their order and each once. Texts are filled from
//! it, and it can be shown whole by who does not know what it means.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use record::{Error, Result, quote};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A text, an integer, `true` or `false`, as written.
    Word(String),
    /// `null`.
    Nothing,
    /// An array.
    List(Vec<Tree>),
    /// An object.
    Fields(Vec<(String, Tree)>),
}

impl Tree {
    /// What a value of ours says.
    ///
    /// # Errors
    /// [`Error::Failed`] where it can't be encoded.
    pub fn of(value: &impl Serialize) -> Result<Self> {
        serde_json::to_value(value).map(Tree::from).map_err(Error::encoding)
    }

    /// The field of this name, where it is an object that has one.
    pub fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Fields(fields) => {
                fields.iter().find(|(of, _)| of == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of this field, where there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.field(name) {
            Some(Tree::Word(text)) => Some(text),
            _ => None,
        }
    }

    /// The names of its fields, where it is an object.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Tree::Fields(fields) => fields.iter().map(|(name, _)| name.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// The same with one more field, which only Keyferry knows.
    pub fn with(mut self, name: &str, value: impl Into<Tree>) -> Self {
        if let Tree::Fields(fields) = &mut self {
            fields.push((name.to_owned(), value.into()));
        }
        self
    }

    /// What is below it: fields by their names, members of a list by their numbers.
    fn below(&self) -> Vec<(String, &Tree)> {
        match self {
            Tree::List(list) => {
                list.iter().zip(1..).map(|(value, n)| (format!("{n}"), value)).collect()
            }
            Tree::Fields(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), value)).collect()
            }
            Tree::Word(_) | Tree::Nothing => Vec::new(),
        }
    }

    /// What a value that has none below it says, as it stands there.
    pub fn word(&self) -> &str {
        match self {
            Tree::Word(word) => word,
            Tree::Nothing => "null",
            Tree::List(_) => "none",
            Tree::Fields(_) => "nothing",
        }
    }

    /// Visits every value that has none below it, with the names that lead there.
    pub fn walk<'a>(&'a self, path: &str, visit: &mut dyn FnMut(&str, &'a Tree)) {
        let below = self.below();
        if below.is_empty() {
            visit(path, self);
        }
        for (name, value) in below {
            let dot = if path.is_empty() { "" } else { "." };
            value.walk(&format!("{path}{dot}{name}"), visit);
        }
    }

    /// `name: value` lines, each value below what it belongs to, indented. Not yet escaped.
    pub fn lines(&self, name: &str, indent: usize, lines: &mut Vec<String>) {
        let (blanks, below) = (" ".repeat(indent), self.below());
        match below.is_empty() {
            true => lines.push(format!("{blanks}{name}: {}", self.word())),
            false => lines.push(format!("{blanks}{name}:")),
        }
        for (name, value) in below {
            value.lines(&name, indent + 2, lines);
        }
    }
}

impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Tree::Nothing,
            Value::String(text) => Tree::Word(text),
            Value::Array(list) => Tree::List(list.into_iter().map(Tree::from).collect()),
            Value::Object(fields) => Tree::Fields(
                fields.into_iter().map(|(name, value)| (name, Tree::from(value))).collect(),
            ),
            plain => Tree::Word(plain.to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, an integer, true, false, null, an array or an object")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Tree, E> {
        Ok(Tree::Word(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Tree, E> {
        Ok(Tree::Word(value.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Tree, E> {
        Ok(Tree::Word(number.to_string()))
    }

    fn visit_unit<E>(self) -> std::result::Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Tree, A::Error> {
        let mut fields: Vec<(String, Tree)> = Vec::new();
        let mut names = HashSet::new();
        while let Some((name, value)) = map.next_entry::<String, Tree>()? {
            // Two readers could take two different ones for it.
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("the field {} stands twice", quote(&name))));
            }
            fields.push((name, value));
        }
        Ok(Tree::Fields(fields))
    }
}
