//! JSON Schemas of documents, requests, log entries, evidence and the plan, made from the types as
//! they stand in the source; `KEYFERRY_SCHEMA=write` writes docs/schema again. The kept ceremonies
//! satisfy them. Each change of a document that `tests/record/fields.rs` found to end in
//! DOCUMENT-FORMAT they refuse too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use proc_macro2::TokenTree;
use serde_json::{Map, Value, json};
use syn::{
    Attribute, Expr, Field, Fields, GenericArgument, Item, ItemEnum, ItemStruct, Lit,
    PathArguments, Token, Type, punctuated::Punctuated,
};

use keyferry_schema::{changes, general, pointers};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of every file below a folder whose name ends so.
fn below(folder: &Path, end: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(below(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    found
}

/// Everything that the source of the record declares.
struct Source {
    /// Those of one name with the file of each.
    structs: BTreeMap<String, Vec<(PathBuf, ItemStruct)>>,
    enums: BTreeMap<String, ItemEnum>,
    /// Types with `impl Subject`: what officers sign for.
    subjects: Vec<String>,
    /// The names of rules.
    rules: Vec<String>,
    /// What every file of the format says that it is.
    format: String,
}

impl Source {
    fn read() -> Self {
        let mut source = Source {
            structs: BTreeMap::new(),
            enums: BTreeMap::new(),
            subjects: Vec::new(),
            rules: Vec::new(),
            format: String::new(),
        };
        for (path, text) in below(&root().join("src/record"), ".rs") {
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            file.items.into_iter().for_each(|item| source.take(&path, item));
        }
        source
    }

    /// The kinds of documents.
    fn kinds(&self) -> Vec<String> {
        let named =
            |variant: &syn::Variant| literal(&variant.discriminant.as_ref().unwrap().1).unwrap();
        self.enums["Kind"].variants.iter().map(named).collect()
    }

    /// The type of a document's body, by the one list of the kinds.
    fn body_of(&self, kind: &str) -> String {
        let list = fs::read_to_string(root().join("src/record/document/mod.rs")).unwrap();
        let mut lines =
            list.lines().filter_map(|line| line.trim().split_once(&format!(": {kind}::")));
        let (_, body) = lines.next().unwrap_or_else(|| panic!("no body of {kind}"));
        body.trim_end_matches(',').to_owned()
    }
}

/// Our own attribute: read and written, and no field that it does not have.
fn is_strict(attribute: &Attribute) -> bool {
    attribute.path().is_ident("strict_json")
}

/// The serde attributes of an item, a field or a value: names, with their text where they have one.
fn serde(attributes: &[Attribute]) -> BTreeMap<String, String> {
    let ours = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    let mut found = BTreeMap::new();
    if attributes.iter().any(is_strict) {
        found.insert("deny_unknown_fields".to_owned(), String::new());
    }
    for attribute in ours {
        let parts = Punctuated::<syn::Meta, Token![,]>::parse_terminated;
        for part in attribute.parse_args_with(parts).unwrap() {
            let name = part.path().get_ident().unwrap().to_string();
            let text = match &part {
                syn::Meta::NameValue(pair) => literal(&pair.value).unwrap(),
                _ => String::new(),
            };
            found.insert(name, text);
        }
    }
    found
}

/// Whether files have it: it is read or written.
fn of_files(attributes: &[Attribute]) -> bool {
    if attributes.iter().any(is_strict) {
        return true;
    }
    let derived = attributes.iter().filter(|attribute| attribute.path().is_ident("derive"));
    let mut traits = derived.flat_map(|attribute| {
        let paths = Punctuated::<syn::Path, Token![,]>::parse_terminated;
        attribute.parse_args_with(paths).unwrap()
    });
    traits.any(|path| path.is_ident("Serialize") || path.is_ident("Deserialize"))
}

fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(found) => match &found.lit {
            Lit::Str(text) => Some(text.value()),
            Lit::Int(number) => Some(number.base10_digits().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// What its documentation says, as one line.
fn documentation(attributes: &[Attribute]) -> Option<Value> {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let lines =
        lines.filter_map(|attribute| literal(&attribute.meta.require_name_value().ok()?.value));
    let text: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    (!text.is_empty()).then(|| text.join(" ").into())
}

fn described(mut schema: Value, text: Option<Value>) -> Value {
    if let Some(text) = text {
        schema["description"] = text;
    }
    schema
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

impl Source {
    fn take(&mut self, path: &Path, item: Item) {
        match item {
            Item::Struct(item) if of_files(&item.attrs) => {
                self.structs.entry(item.ident.to_string()).or_default().push((path.into(), item));
            }
            Item::Enum(item) if of_files(&item.attrs) => {
                let before = self.enums.insert(item.ident.to_string(), item);
                assert!(before.is_none(), "{before:?}");
            }
            Item::Macro(item) if item.mac.path.is_ident("named") => {
                let file: syn::File = syn::parse2(item.mac.tokens).unwrap();
                for item in file.items {
                    let Item::Enum(item) = item else { panic!("{item:?}") };
                    let before = self.enums.insert(item.ident.to_string(), item);
                    assert!(before.is_none(), "{before:?}");
                }
            }
            Item::Macro(item) if item.mac.path.is_ident("rules") => {
                let tokens: Vec<TokenTree> = item.mac.tokens.into_iter().collect();
                for pair in tokens.windows(2) {
                    if let [TokenTree::Ident(_), TokenTree::Literal(name)] = pair {
                        let name = name.to_string().trim_matches('"').to_owned();
                        let named =
                            |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
                        self.rules.extend(name.chars().all(named).then_some(name));
                    }
                }
            }
            // A table: its documentation; of each step its name comes first.
            Item::Macro(item) if item.mac.path.is_ident("steps") => {
                let tokens: Vec<TokenTree> = item.mac.tokens.into_iter().collect();
                let documentation: String =
                    tokens.iter().take(2).map(ToString::to_string).collect();
                let named = tokens.windows(2).filter_map(|pair| match pair {
                    [TokenTree::Ident(step), TokenTree::Literal(name)] => {
                        Some(format!("{step} = {name},"))
                    }
                    _ => None,
                });
                let steps =
                    format!("{documentation} enum Step {{ {} }}", named.collect::<String>());
                self.enums.insert("Step".to_owned(), syn::parse_str(&steps).unwrap());
            }
            Item::Const(item) if item.ident == "FORMAT" => {
                self.format
                    .extend(literal(&item.expr).filter(|text| text.starts_with("keyferry/")));
            }
            Item::Impl(item) => {
                let of = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
                if let (true, Type::Path(path)) =
                    (of.is_some_and(|of| of.ident == "Subject"), &*item.self_ty)
                {
                    self.subjects.push(path.path.segments.last().unwrap().ident.to_string());
                }
            }
            _ => {}
        }
    }
}

/// A schema that is being made: what it has described so far.
struct Schema<'a> {
    source: &'a Source,
    described: Map<String, Value>,
    /// The file of the type that is being described: of two of a name its own counts.
    here: PathBuf,
}

/// What stands in the place of a type's parameters.
type Parameters = BTreeMap<String, Value>;

impl<'a> Schema<'a> {
    fn new(source: &'a Source, file: &str) -> Self {
        let here = root().join("src/record").join(file);
        Schema { source, described: Map::new(), here }
    }

    fn of(&mut self, wanted: &Type, parameters: &Parameters) -> Value {
        let path = match wanted {
            Type::Path(path) => path.path.segments.last().unwrap(),
            Type::Array(array) => {
                let n: u64 = literal(&array.len).unwrap().parse().unwrap();
                let item = self.of(&array.elem, parameters);
                return json!({"type": "array", "items": item, "minItems": n, "maxItems": n});
            }
            Type::Tuple(tuple) => {
                let items: Vec<Value> =
                    tuple.elems.iter().map(|one| self.of(one, parameters)).collect();
                let n = items.len();
                return json!({"type": "array", "prefixItems": items, "minItems": n, "maxItems": n});
            }
            _ => panic!("no schema of {wanted:?}"),
        };
        let name = path.ident.to_string();
        if let Some(parameter) = parameters.get(&name) {
            return parameter.clone();
        }
        let hex = |n: &str| json!({"type": "string", "pattern": format!("^[0-9a-f]{{{n}}}$")});
        let inner: Vec<&GenericArgument> = match &path.arguments {
            PathArguments::AngleBracketed(inside) => inside.args.iter().collect(),
            _ => Vec::new(),
        };
        if let [GenericArgument::Const(length)] = &inner[..] {
            let bytes: usize = literal(length).unwrap().parse().unwrap();
            return hex(&(bytes * 2).to_string());
        }
        let inner: Vec<Value> = inner
            .into_iter()
            .filter_map(|one| match one {
                GenericArgument::Type(one) => Some(self.of(one, parameters)),
                _ => None,
            })
            .collect();
        match (&name[..], &inner[..]) {
            ("String" | "str", _) => json!({"type": "string"}),
            ("bool", _) => json!({"type": "boolean"}),
            ("u8", _) => json!({"type": "integer", "minimum": 0, "maximum": u8::MAX}),
            ("u32", _) => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
            ("u64" | "usize", _) => json!({"type": "integer", "minimum": 0}),
            // A value of TOML: `true`, or a hash.
            ("Value", _) => json!({"type": ["boolean", "string"]}),
            ("Option", [some]) => json!({"anyOf": [some, {"type": "null"}]}),
            ("Spanned" | "Box", [inside]) => inside.clone(),
            ("Vec", [item]) => json!({"type": "array", "items": item}),
            ("BTreeMap", [_, value]) => json!({"type": "object", "additionalProperties": value}),
            ("Hash", _) => hex("64"),
            ("CkaId", _) => hex("40"),
            ("PackageId", _) => hex("32"),
            ("Blob", _) => {
                let pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";
                json!({"type": "string", "pattern": pattern})
            }
            ("Id", _) => json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"}),
            ("MechanismId", _) => json!({"type": "string", "pattern": "^0x[0-9a-f]{8,}$"}),
            ("IpAddr", _) => {
                json!({"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "type": "string"})
            }
            ("Rule", _) => {
                let rules = json!({"enum": self.source.rules});
                self.described.insert("Rule".into(), rules);
                json!({"$ref": "#/$defs/Rule"})
            }
            _ => self.declared(&name, inner),
        }
    }

    /// A type of the record's own; of one with parameters, each use by itself.
    fn declared(&mut self, name: &str, inner: Vec<Value>) -> Value {
        if !inner.is_empty() {
            return self.described_as(name, inner);
        }
        if !self.described.contains_key(name) {
            self.described.insert(name.to_owned(), Value::Null);
            let described = self.described_as(name, inner);
            self.described.insert(name.to_owned(), described);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    fn described_as(&mut self, name: &str, inner: Vec<Value>) -> Value {
        if let Some(items) = self.source.structs.get(name) {
            let own = items.iter().find(|(path, _)| *path == self.here);
            assert!(own.is_some() || items.len() == 1, "{name} in {:?}", self.here);
            let (path, item) = own.unwrap_or(&items[0]);
            let names = item.generics.type_params().map(|one| one.ident.to_string());
            let parameters: Parameters = names.zip(inner).collect();
            let before = std::mem::replace(&mut self.here, path.clone());
            let object = self.object(&item.fields, &serde(&item.attrs), &parameters);
            self.here = before;
            return described(object, documentation(&item.attrs));
        }
        let item =
            self.source.enums.get(name).unwrap_or_else(|| panic!("no type is called {name}"));
        self.choice(item)
    }

    fn object(
        &mut self,
        fields: &Fields,
        container: &BTreeMap<String, String>,
        parameters: &Parameters,
    ) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in fields {
            let attributes = serde(&field.attrs);
            assert!(!attributes.contains_key("flatten"), "{:?}", field.ident);
            let name = field_name(field, &attributes);
            let mut schema = self.of(&field.ty, parameters);
            if name == "format" && schema == json!({"type": "string"}) {
                schema = json!({"const": self.source.format});
            }
            schema = described(schema, documentation(&field.attrs));
            let none = json!({"type": "null"});
            let may_be_none = schema["anyOf"].as_array().is_some_and(|some| some.contains(&none));
            let optional = may_be_none
                || attributes.contains_key("default")
                || container.contains_key("default");
            if !optional {
                required.push(name.clone());
            }
            properties.insert(name, schema);
        }
        let closed = container.contains_key("deny_unknown_fields");
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": !closed})
    }

    fn choice(&mut self, item: &ItemEnum) -> Value {
        let container = serde(&item.attrs);
        let name = |variant: &syn::Variant| {
            let named = variant.discriminant.as_ref().and_then(|(_, name)| literal(name));
            let plain = variant.ident.to_string();
            let cased = match container.get("rename_all").map(String::as_str) {
                Some("kebab-case") => kebab(&plain),
                Some("lowercase") => plain.to_lowercase(),
                None => plain,
                Some(other) => panic!("{other}"),
            };
            serde(&variant.attrs).remove("rename").or(named).unwrap_or(cased)
        };
        let description = documentation(&item.attrs);
        let unit = item.variants.iter().all(|variant| variant.fields.is_empty());
        let Some(tag) = container.get("tag") else {
            if unit {
                let names: Vec<String> = item.variants.iter().map(name).collect();
                return described(json!({"enum": names}), description);
            }
            // One field, by the name of what it is.
            let mut choices = Vec::new();
            for variant in &item.variants {
                let Fields::Unnamed(inside) = &variant.fields else { panic!("{variant:?}") };
                let inside = self.of(&inside.unnamed[0].ty, &Parameters::new());
                let inside = described(inside, documentation(&variant.attrs));
                choices.push(json!({"type": "object", "properties": {name(variant): inside},
                    "required": [name(variant)], "additionalProperties": false}));
            }
            return described(json!({"oneOf": choices}), description);
        };
        let mut choices = Vec::new();
        for variant in &item.variants {
            let mut object = match &variant.fields {
                Fields::Unnamed(inside) => {
                    let Type::Path(path) = &inside.unnamed[0].ty else { panic!("{variant:?}") };
                    let inside = path.path.segments.last().unwrap().ident.to_string();
                    self.described_as(&inside, Vec::new())
                }
                fields => self.object(fields, &container, &Parameters::new()),
            };
            object["properties"][tag] = json!({"const": name(variant)});
            object["required"].as_array_mut().unwrap().push(json!(tag));
            choices.push(described(object, documentation(&variant.attrs)));
        }
        described(json!({"oneOf": choices}), description)
    }

    fn whole(mut self, title: &str, wanted: Value) -> Value {
        let defs = std::mem::take(&mut self.described);
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            "allOf": [wanted],
            "$defs": defs,
        })
    }
}

fn field_name(field: &Field, attributes: &BTreeMap<String, String>) -> String {
    let plain = field.ident.as_ref().unwrap().to_string();
    let plain = plain.strip_prefix("r#").unwrap_or(&plain).to_owned();
    attributes.get("rename").cloned().unwrap_or(plain)
}

/// The schema of each kind of file by its name, and the kinds of documents.
static SCHEMAS: LazyLock<(BTreeMap<String, Value>, Vec<String>)> = LazyLock::new(|| {
    let source = Source::read();
    let mut schemas = BTreeMap::new();
    for kind in source.kinds() {
        let mut schema = Schema::new(&source, &format!("document/{kind}.rs"));
        let body = schema.declared(&source.body_of(&kind), Vec::new());
        let document = schema.described_as("Document", vec![body]);
        let whole = schema.whole(&kind, document);
        schemas.insert(kind, whole);
    }
    let mut schema = Schema::new(&source, "gate/mod.rs");
    let subjects = source.subjects.iter().map(|name| schema.declared(name, Vec::new()));
    let subjects: Vec<Value> = subjects.collect();
    let request = schema.described_as("Request", vec![json!({"anyOf": subjects})]);
    schemas.insert("request".into(), schema.whole("a request that officers sign", request));
    let mut schema = Schema::new(&source, "log/event.rs");
    let mut entry = schema.described_as("Event", Vec::new());
    let time = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";
    for choice in entry["oneOf"].as_array_mut().unwrap() {
        choice["properties"]["prev"] = json!({"type": "string", "pattern": "^[0-9a-f]{64}$"});
        choice["properties"]["seq"] = json!({"type": "integer", "minimum": 1});
        choice["properties"]["time"] = json!({"type": "string", "pattern": time});
        let required = choice["required"].as_array_mut().unwrap();
        required.extend(["prev", "seq", "time"].map(Value::from));
    }
    schemas.insert("log-entry".into(), schema.whole("an entry of a log", entry));
    for (file, name, title) in [
        ("evidence", "Statement", "what a node states, inside the file of its evidence"),
        ("evidence-file", "File", "the file of a node's evidence"),
        ("plan", "RawPlan", "a plan, as TOML reads"),
    ] {
        let mut schema = Schema::new(&source, "service/evidence.rs");
        let wanted = schema.declared(name, Vec::new());
        schemas.insert(file.into(), schema.whole(title, wanted));
    }
    let kinds = source.kinds();
    (schemas, kinds)
});

fn schemas() -> &'static BTreeMap<String, Value> {
    &SCHEMAS.0
}

fn kinds() -> &'static [String] {
    &SCHEMAS.1
}

/// What a file of each kind may be, by its schema.
static VALIDATORS: LazyLock<BTreeMap<&str, jsonschema::Validator>> = LazyLock::new(|| {
    let validator = |schema| jsonschema::draft202012::new(schema).unwrap();
    schemas().iter().map(|(name, schema)| (&name[..], validator(schema))).collect()
});

#[test]
fn the_schemas_are_those_of_the_types() {
    let folder = root().join("docs/schema");
    let write = std::env::var_os("KEYFERRY_SCHEMA").is_some_and(|value| value == "write");
    for (name, schema) in schemas() {
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        let path = folder.join(format!("{name}.schema.json"));
        if write {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{path:?} is not what the types say: KEYFERRY_SCHEMA=write");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), schemas().len());
}

/// Holds every file of a kept ceremony that is of a kind; how many there were.
fn hold(folder: &Path, counted: &mut BTreeMap<String, usize>) {
    let mut holds = |name: &str, value: &Value, path: &Path| {
        let validator = &VALIDATORS[name];
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("{error} at {}", error.instance_path))
            .collect();
        assert!(faults.is_empty(), "{path:?} by {name}: {faults:?}");
        *counted.entry(name.to_owned()).or_default() += 1;
    };
    for (path, text) in below(folder, ".json") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let above = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let value = || serde_json::from_str::<Value>(&text).unwrap();
        match above {
            "approvals" => holds("request", &value(), &path),
            "evidence" => {
                let file = value();
                holds("evidence-file", &file, &path);
                let statement = file["statement"].as_str().unwrap();
                holds("evidence", &serde_json::from_str(statement).unwrap(), &path);
            }
            _ if name == above && kinds().iter().any(|kind| kind == name) => {
                holds(name, &value(), &path);
            }
            _ => {}
        }
    }
    for (path, text) in below(folder, "log.jsonl") {
        for line in text.lines() {
            holds("log-entry", &serde_json::from_str(line).unwrap(), &path);
        }
    }
    for (path, text) in below(folder, "ceremony.toml") {
        let plan: toml::Value = toml::from_str(&text).unwrap();
        holds("plan", &serde_json::to_value(plan).unwrap(), &path);
    }
}

#[test]
fn the_kept_ceremonies_satisfy_the_schemas() {
    let mut counted = BTreeMap::new();
    hold(&root().join("tests/replayed/v1"), &mut counted);
    println!("counted: {counted:?}");
    let untried: Vec<&String> =
        schemas().keys().filter(|name| !counted.contains_key(*name)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

/// What `tests/replayed/refusals.txt` has of each place of a document: the changes that end in
/// DOCUMENT-FORMAT and in nothing else.
fn of_form() -> BTreeMap<String, BTreeSet<String>> {
    let list = fs::read_to_string(root().join("tests/replayed/refusals.txt")).unwrap();
    let mut found = BTreeMap::new();
    for line in list.lines() {
        let (place, rules) = line.split_once(": ").unwrap();
        for part in rules.split("; ") {
            if let Some(changes) = part.strip_prefix("DOCUMENT-FORMAT (") {
                let changes = changes.trim_end_matches(')').split(", ").map(str::to_owned);
                found.insert(place.to_owned(), changes.collect());
            }
        }
    }
    found
}

#[test]
fn what_document_format_refuses_the_schemas_refuse() {
    let (of_form, mut tried, mut met) = (of_form(), 0, BTreeSet::new());
    for way in ["single-shot-hgs", "composite-local", "born-hgs"] {
        let archive = root().join("tests/replayed/v1").join(way).join("tenant");
        for kind in kinds().iter() {
            let Ok(text) = fs::read_to_string(archive.join(format!("{kind}/{kind}.json"))) else {
                continue;
            };
            let whole: Value = serde_json::from_str(&text).unwrap();
            let validator = &VALIDATORS[&kind[..]];
            for pointer in pointers(&whole) {
                let place = format!("{kind} {}", general(&pointer));
                let Some(refused) = of_form.get(&place) else { continue };
                for (change, changed) in changes(&whole, &pointer) {
                    if refused.contains(change) {
                        assert!(!validator.is_valid(&changed), "{way} {kind} {pointer}: {change}");
                        met.insert((place.clone(), change));
                        tried += 1;
                    }
                }
            }
        }
    }
    println!("counted: {tried} changed documents, none valid");
    assert!(tried > 1500, "{tried}");
    for (place, changes) in of_form {
        // Of files beside the document a schema says nothing.
        let unmet =
            changes.iter().find(|one| !met.iter().any(|(at, two)| *at == place && two == one));
        assert!(unmet.is_none() || place.contains(" file "), "{place}: {unmet:?}");
    }
}
