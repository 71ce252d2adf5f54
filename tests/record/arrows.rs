//! The record's modules name only those above them in the table of `src/record/lib.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/record")
}

/// The modules in the order of the table, each once.
fn table(map: &str) -> Vec<String> {
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    let names = cells.flat_map(|cell| cell.split("[`").map(|name| name.split('`').next().unwrap()));
    names.map(str::to_owned).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| match path.is_dir() {
        true => sources(&path),
        false => vec![path],
    });
    below.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// What stands at the beginning of each path of a group `{a::b, c::{d, e}}`; of one path, itself.
fn heads(after: &str) -> BTreeSet<String> {
    let ident = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(group) = after.strip_prefix('{') else {
        return [ident(after)].into();
    };
    let (mut depth, mut start, mut found) = (0, true, BTreeSet::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                found.insert(ident(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    found
}

/// What the crate gives under its own name, each with the module that it is of.
fn given(map: &str) -> BTreeMap<String, String> {
    let lines = map.lines().filter_map(|line| line.strip_prefix("pub use "));
    let names = |line: &str| {
        let (module, rest) = line.split_once("::").unwrap();
        let last = rest.rsplit_once("::").map_or(rest, |(_, last)| last);
        let names = last.split(|c: char| !c.is_alphanumeric() && c != '_');
        let names = names.filter(|name| !name.is_empty());
        names.map(|name| (name.to_owned(), module.to_owned())).collect::<Vec<_>>()
    };
    lines.flat_map(names).collect()
}

#[test]
fn an_arrow_goes_only_upward_in_the_map() {
    let map = fs::read_to_string(record().join("lib.rs")).unwrap();
    let (order, given) = (table(&map), given(&map));
    assert_eq!(given["Event"], "log");
    assert!(map.contains("pub use terms::*;"));
    let module_of = |name: &str| order.iter().position(|one| one == name);
    // What the table does not have is given under the crate's own name: by `terms`, if by no other.
    let place = |name: &str| {
        let module = given.get(name).map_or("terms", String::as_str);
        module_of(name).or_else(|| module_of(module)).unwrap()
    };
    let mut arrows = 0;
    for path in sources(&record()) {
        let below = path.strip_prefix(record()).unwrap().to_string_lossy().replace(".rs", "");
        let module = below.split('/').next().unwrap();
        if module == "lib" {
            continue;
        }
        let here = module_of(module).unwrap_or_else(|| panic!("{module} is not in the map"));
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap());
        let code: String = code.collect::<Vec<_>>().join("\n");
        for (_, after) in
            code.match_indices("crate::").map(|(at, found)| (at, &code[at + found.len()..]))
        {
            for name in heads(after) {
                assert!(place(&name) <= here, "{}: {module} names {name}", path.display());
                arrows += 1;
            }
        }
    }
    assert!(order.len() > 20 && arrows > 500, "{arrows} arrows");
}

/// No crate of ours is named by one that stands above it, but the one that makes its attribute.
#[test]
fn the_record_names_no_other_crate_of_ours() {
    let manifest = fs::read_to_string(record().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    for folder in fs::read_dir(record().parent().unwrap()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let named = dependencies.contains(&format!("\n{name}."));
        assert_eq!(named, name == "strict_json", "record names {name}");
    }
}
