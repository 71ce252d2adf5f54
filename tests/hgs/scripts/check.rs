//! The checker: a script's syntax tree against the contract. It returns what it finds wrong, in
//! words; none is right.

use std::collections::BTreeMap;

use tree_sitter::{Node, Parser, Tree};

use super::{
    contract::{COMMANDS, Command, MEMBERS, Takes},
    order::{announced, order, rules},
};
use ceremony::services::hgs::HGS;

/// A script and its tree.
pub struct Script<'a> {
    pub name: &'a str,
    pub text: &'a str,
    tree: Tree,
}

/// One call of a command: its name, the values of its parameters, what stands without a name.
pub struct Call<'a> {
    pub name: &'a str,
    pub line: usize,
    named: Vec<(&'a str, Option<&'a str>)>,
    pub positional: Vec<&'a str>,
}

impl Call<'_> {
    /// The value of a parameter, as it is written.
    pub fn value(&self, parameter: &str) -> &str {
        let found = self.named.iter().find(|(name, _)| *name == parameter);
        found.and_then(|(_, value)| *value).unwrap_or_default()
    }
}

impl<'a> Script<'a> {
    pub fn parse(name: &'a str, text: &'a str) -> Self {
        let mut parser = Parser::new();
        parser
            .set_language(&tree_sitter_powershell::LANGUAGE.into())
            .expect("the grammar fits the library");
        let tree = parser.parse(text, None).expect("a tree");
        Script { name, text, tree }
    }

    fn nodes(&self) -> Vec<Node<'_>> {
        let (mut stack, mut all) = (vec![self.tree.root_node()], Vec::new());
        while let Some(node) = stack.pop() {
            all.push(node);
            let mut cursor = node.walk();
            let children: Vec<_> = node.children(&mut cursor).collect();
            stack.extend(children.into_iter().rev());
        }
        all
    }

    fn of(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    /// Syntax and the little that a tree does not show.
    fn syntax(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if !line.is_ascii() || line.contains(['\t', '\r']) {
                found.push(format!("line {}: a byte that is not plain ASCII", number + 1));
            }
            for sign in ["{{", "}}", "<%", "%>", "@@", "__"] {
                if line.contains(sign) {
                    found.push(format!("line {}: placeholder {sign}", number + 1));
                }
            }
        }
        for node in self.nodes() {
            let line = node.start_position().row + 1;
            if node.is_error() || node.is_missing() {
                found.push(format!("line {line}: does not parse"));
            }
            let mut cursor = node.walk();
            let mut kinds = node.children(&mut cursor).map(|child| child.kind());
            if node.kind() == "try_statement"
                && !kinds.any(|kind| ["catch_clauses", "finally_clause"].contains(&kind))
            {
                found.push(format!("line {line}: try without catch or finally"));
            }
            let newer = ["&&", "||", "??", "??=", "?.", "?[", "?"];
            if node.child_count() == 0 && newer.contains(&self.of(node).trim()) {
                found.push(format!(
                    "line {line}: {} is not of Windows PowerShell 5.1",
                    self.of(node).trim()
                ));
            }
            if node.kind() == "member_name" || node.kind() == "type_literal" {
                found.extend(self.member(node));
            }
        }
        if self.tree.root_node().has_error() && found.is_empty() {
            found.push("does not parse".to_owned());
        }
        found
    }

    /// A static member is of the table.
    fn member(&self, node: Node<'_>) -> Option<String> {
        let rest = &self.text[node.end_byte()..];
        let name = rest.strip_prefix("::").filter(|_| node.kind() == "type_literal")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let member = format!("{}::{}", self.of(node).trim_matches(['[', ']']), &name[..end]);
        let line = node.start_position().row + 1;
        (!MEMBERS.contains(&member.as_str()))
            .then(|| format!("line {line}: unknown member {member}"))
    }

    /// The functions that the script defines, with their parameters.
    pub fn functions(&self) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut functions = BTreeMap::new();
        for node in self.nodes() {
            if node.kind() != "function_statement" {
                continue;
            }
            let name = child(node, "function_name").expect("a function has a name");
            let body = child(node, "script_block");
            let list = child(node, "function_parameter_declaration")
                .or(body.and_then(|body| child(body, "param_block")))
                .and_then(|declared| child(declared, "parameter_list"));
            let parameters = list.map_or(Vec::new(), |list| {
                let mut cursor = list.walk();
                let declared = list.children(&mut cursor);
                let declared = declared.filter_map(|parameter| child(parameter, "variable"));
                declared.map(|v| self.of(v).trim_start_matches('$')).collect()
            });
            functions.insert(self.of(name), parameters);
        }
        functions
    }

    /// Every command, in the order of the text.
    fn calls(&self, known: &Known<'_>) -> (Vec<Call<'a>>, Vec<String>) {
        let (mut calls, mut found) = (Vec::new(), Vec::new());
        for node in self.nodes() {
            if node.kind() != "command" {
                continue;
            }
            let line = node.start_position().row + 1;
            let Some(name) = child(node, "command_name") else {
                // The one script block that is called, blocks that are scopes, and the one file
                // that is loaded.
                let allowed = [
                    "& $Check",
                    ". (Join-Path -Path $PSScriptRoot -ChildPath 'KeyferryCommon.ps1')",
                ];
                let text = self.of(node).trim();
                if !allowed.contains(&text) && !text.starts_with("& {\n") {
                    found.push(format!(
                        "line {line}: a command that is computed: {}",
                        self.of(node)
                    ));
                }
                continue;
            };
            let mut call =
                Call { name: self.of(name), line, named: Vec::new(), positional: Vec::new() };
            if let Err(wrong) = self.arguments(node, &mut call, known) {
                found.push(format!("line {line}: {wrong}"));
            }
            calls.push(call);
        }
        (calls, found)
    }

    fn arguments(
        &self,
        node: Node<'_>,
        call: &mut Call<'a>,
        known: &Known<'_>,
    ) -> Result<(), String> {
        let name = call.name;
        let Some(takes) = known.parameters(name) else {
            return Err(format!("unknown command {name}"));
        };
        let mut wrong = Vec::new();
        if self.of(node)[name.len()..].starts_with('(') {
            wrong.push(format!("{name} is called with parentheses"));
        }
        let elements = child(node, "command_elements");
        let mut cursor = node.walk();
        let elements: Vec<_> =
            elements.map_or(Vec::new(), |all| all.children(&mut cursor).collect());
        let mut elements = elements.into_iter().peekable();
        while let Some(element) = elements.next() {
            match element.kind() {
                "command_argument_sep" | "redirection" => {}
                "command_parameter" => {
                    let parameter = self.of(element).trim_start_matches('-');
                    let Some((_, takes)) = takes.iter().find(|(known, _)| *known == parameter)
                    else {
                        wrong.push(format!("{name} has no parameter -{parameter}"));
                        continue;
                    };
                    let mut value = None;
                    if !matches!(takes, Takes::Nothing) {
                        while elements
                            .next_if(|next| next.kind() == "command_argument_sep")
                            .is_some()
                        {}
                        value = elements.next_if(|next| next.kind() != "command_parameter");
                    }
                    let value = value.map(|value| self.of(value));
                    match (takes, value) {
                        (Takes::Value, None) => {
                            wrong.push(format!("{name} -{parameter} lacks its value"))
                        }
                        (Takes::OneOf(words), value)
                            if !value.is_some_and(|v| words.contains(&v)) =>
                        {
                            wrong.push(format!(
                                "{name} -{parameter} takes one of {words:?}, not {}",
                                value.unwrap_or("nothing")
                            ))
                        }
                        _ => {}
                    }
                    call.named.push((parameter, value));
                }
                _ => call.positional.push(self.of(element)),
            }
        }
        if call.positional.len() > known.positional(name) {
            wrong.push(format!("{name} takes no value {:?}", call.positional.last()));
        }
        let given = call.positional.len() + call.named.len();
        if let Some(own) = known.own.get(name).filter(|own| own.len() != given) {
            wrong.push(format!("{name} is given {given} of {} values", own.len()));
        }
        for wanted in known.wanted(name) {
            if !call.named.iter().any(|(parameter, _)| parameter == wanted) {
                wrong.push(format!("{name} without -{wanted}"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

/// The commands that a script may call.
struct Known<'a> {
    /// Own functions, which are given every parameter.
    own: BTreeMap<&'a str, Vec<(&'a str, Takes)>>,
}

impl Known<'_> {
    fn command(&self, name: &str) -> Option<&'static Command> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    fn parameters(&self, name: &str) -> Option<&[(&str, Takes)]> {
        let own = self.own.get(name).map(|parameters| &parameters[..]);
        own.or(self.command(name).map(|command| command.parameters))
    }

    fn positional(&self, name: &str) -> usize {
        let own = self.own.get(name).map(Vec::len);
        own.or(self.command(name).map(|command| command.positional)).unwrap_or(0)
    }

    fn wanted(&self, name: &str) -> &'static [&'static str] {
        let own = self.own.contains_key(name);
        self.command(name).filter(|_| !own).map_or(&[], |command| command.wanted)
    }
}

/// Everything that is wrong with a script, which may call the functions of the common file.
pub fn check(script: &Script<'_>, common: &Script<'_>) -> Vec<String> {
    let mut own = script.functions();
    own.extend(common.functions());
    // The common file uses what its loader has defined.
    own.entry("Refuse").or_insert_with(|| vec!["Rule", "Found", "Expected", "Remedy"]);
    let typed = |names: Vec<_>| names.into_iter().map(|name| (name, Takes::Value)).collect();
    let known = Known { own: own.into_iter().map(|(name, names)| (name, typed(names))).collect() };
    let mut found = script.syntax();
    let (calls, wrong) = script.calls(&known);
    found.extend(wrong);
    found.extend(rules(&calls));
    found.extend(order(&calls));
    // The list that Keyferry itself has, and that the model of a cluster follows.
    let steps = HGS.steps.iter().filter(|step| step.program == script.name);
    let steps: Vec<&str> = steps.map(|step| step.name).collect();
    if !steps.is_empty() {
        found.extend(announced(&calls, &steps));
        for begin in [
            "SupportsShouldProcess = $true",
            "\n& {\n    Set-StrictMode -Version 2.0\n    $ErrorActionPreference = 'Stop'\n    try {\n",
        ] {
            if !script.text.contains(begin) {
                found.push(format!("lacks {}", begin.trim()));
            }
        }
    }
    found
}

fn child<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).find(|child| child.kind() == kind)
}
