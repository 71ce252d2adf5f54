//! JSON as it stands in a file, names in their order and each once: what can be shown whole without
//! knowing what it means.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// A value of a JSON file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A text.
    Text(String),
    /// `null`, `true`, `false` or an integer, as written.
    Plain(String),
    /// An array.
    List(Vec<Tree>),
    /// An object.
    Fields(Vec<(String, Tree)>),
}

impl Tree {
    /// The field of this name, where it is an object that has one.
    pub fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Fields(fields) => {
                fields.iter().find(|(of, _)| of == name).map(|(_, value)| value)
            }
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

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    /// `name: value` lines, each value below what it belongs to, indented. The lines are not yet
    /// escaped.
    pub fn lines(&self, name: &str, indent: usize, lines: &mut Vec<String>) {
        let blanks = " ".repeat(indent);
        match self {
            Tree::Text(text) | Tree::Plain(text) => lines.push(format!("{blanks}{name}: {text}")),
            Tree::List(list) if list.is_empty() => lines.push(format!("{blanks}{name}: none")),
            Tree::Fields(fields) if fields.is_empty() => {
                lines.push(format!("{blanks}{name}: nothing"))
            }
            Tree::List(list) => {
                lines.push(format!("{blanks}{name}:"));
                for (value, number) in list.iter().zip(1..) {
                    value.lines(&format!("{number}"), indent + 2, lines);
                }
            }
            Tree::Fields(fields) => {
                lines.push(format!("{blanks}{name}:"));
                for (name, value) in fields {
                    value.lines(name, indent + 2, lines);
                }
            }
        }
    }

    /// `name value` pairs in one line, the names of what they belong to before theirs. Not yet
    /// escaped.
    pub fn pairs(&self, name: &str, pairs: &mut Vec<String>) {
        match self {
            Tree::Text(text) | Tree::Plain(text) => pairs.push(format!("{name} {text}")),
            Tree::List(list) => {
                (list.iter().zip(1..))
                    .for_each(|(value, number)| value.pairs(&format!("{name}.{number}"), pairs));
            }
            Tree::Fields(fields) => {
                (fields.iter()).for_each(|(of, value)| value.pairs(&format!("{name}.{of}"), pairs));
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, an integer, true, false, null, an array or an object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Plain(value.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Plain(number.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Plain("null".into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut fields: Vec<(String, Tree)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some((name, value)) = access.next_entry::<String, Tree>()? {
            // Two readers could take two different ones for it.
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("the field {name:?} stands twice")));
            }
            fields.push((name, value));
        }
        Ok(Tree::Fields(fields))
    }
}
