//! What the pages promise is tested by tests that are there, and what they point to is there too.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of every file below a folder whose name ends so.
pub fn below(folder: &Path, end: &str) -> Vec<(PathBuf, String)> {
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

fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = below(&root().join("docs"), ".md");
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let page = root().join(name);
        pages.push((page.clone(), fs::read_to_string(page).unwrap()));
    }
    pages
}

/// The names that links give to the headings of a page.
fn headings(text: &str) -> BTreeSet<String> {
    let outside_of_blocks = text.split("\n```").step_by(2).flat_map(str::lines);
    let titles = outside_of_blocks.filter(|line| line.starts_with('#'));
    let named = titles.map(|title| title.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    named.map(|title| title.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

/// Every function that is marked as a test, by its name.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["tests", "src"] {
        for (_, text) in below(&root().join(folder), ".rs") {
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if line.trim() == "#[test]" {
                    let declared = lines.by_ref().find_map(|line| line.trim().strip_prefix("fn "));
                    let name = declared.and_then(|rest| rest.split_once('('));
                    names.extend(name.map(|(name, _)| name.to_owned()));
                }
            }
        }
    }
    names
}

/// What stands between backticks and reads as the name of one of our tests: a sentence in small
/// letters.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    code.filter(move |code| code.matches('_').count() >= 2 && code.chars().all(small))
}

#[test]
fn what_the_pages_name_is_there() {
    let tests = tests();
    assert!(tests.len() > 200, "{}", tests.len());
    let mut seen = 0;
    // That page names fields.
    let formats = |page: &Path| page.ends_with("formats.md");
    for (page, text) in pages().into_iter().filter(|(page, _)| !formats(page)) {
        for name in named(&text) {
            let page = page.display();
            assert!(tests.contains(name), "{page}: no test is called {name}");
            seen += 1;
        }
    }
    assert!(seen > 200, "{seen}");
}

#[test]
fn every_claim_names_what_proves_it() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let row = |line: &&str| line.starts_with("| ") && line.ends_with(" |");
    let mut rows = 0;
    for line in text.lines().filter(row) {
        let last = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(last == "test" || last.contains('`'), "{line}");
        rows += 1;
    }
    assert!(rows > 100, "{rows}");
}

#[test]
fn every_link_and_script_of_the_pages_is_there() {
    let mut seen = 0;
    for (page, text) in pages() {
        let folder = page.parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let there = headings(&fs::read_to_string(target).unwrap());
                assert!(there.contains(heading), "{}: {link}: {there:?}", page.display());
            }
            seen += 1;
        }
        let scripts = text.split(|c: char| c.is_whitespace() || "`(),;:".contains(c));
        let ours = ["ceremony-scripts/", "docs/", "tests/", "fuzz/", "templates/", "src/"];
        for script in scripts.map(|word| word.trim_start_matches("./").trim_end_matches('.')) {
            if ours.iter().any(|folder| script.starts_with(folder)) {
                assert!(root().join(script).exists(), "{}: {script}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_file_of_the_code_map_is_there() {
    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let map = contributing.split("```text").find(|block| block.trim_start().starts_with("src/"));
    let (map, _) = map.unwrap().split_once("```").unwrap();
    let sources = ["src", "tests"].map(|folder| below(&root().join(folder), ".rs")).concat();
    let mut seen = 0;
    for word in map.split(|c: char| c.is_whitespace() || ",:;()".contains(c)) {
        if word.ends_with(".rs") {
            assert!(sources.iter().any(|(path, _)| path.ends_with(word)), "{word}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// The blocks of a page, each with what it is marked as.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let (mut all, mut open) = (Vec::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some((kind, Vec::new())),
            (Some(_), Some(_)) => all.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line.trim_end()),
            (None, None) => {}
        }
    }
    all
}

/// What a page says that a program said is in docs/sample, which a rehearsal is held to. Any other
/// block is what people type, or is marked as something else.
#[test]
fn what_a_page_shows_was_said_or_is_typed() {
    let sample = below(&root().join("docs/sample"), ".txt");
    let said: Vec<Vec<&str>> =
        sample.iter().map(|(_, text)| text.lines().map(str::trim_end).collect()).collect();
    let benches = below(&root().join("benches"), ".rs");
    let (mut outputs, mut typed) = (0, 0);
    for (page, text) in pages().into_iter().filter(|(page, _)| !page.ends_with("formats.md")) {
        let at = page.display();
        for (kind, lines) in blocks(&text) {
            match kind {
                "output" => {
                    for part in lines.split(|line| *line == "…") {
                        let there = |said: &Vec<&str>| said.windows(part.len()).any(|w| w == part);
                        assert!(said.iter().any(there), "{at}: nothing said {part:#?}");
                        outputs += 1;
                    }
                }
                // Figures of this page are what a bench printed, which writes the page itself.
                "" if page.ends_with("performance.md") => {
                    for line in lines {
                        let (name, _) = line.split_once("  ").unwrap();
                        let named = format!("\"{}\"", name.trim());
                        assert!(benches.iter().any(|(_, text)| text.contains(&named)), "{named}");
                        outputs += 1;
                    }
                }
                "" => {
                    let ours = ["keyferry-", "ceremony-scripts/", "./ceremony-scripts/"];
                    for line in lines {
                        let line = line.trim_start();
                        assert!(ours.iter().any(|word| line.starts_with(word)), "{at}: {line}");
                        typed += 1;
                    }
                }
                "text" | "toml" => {}
                _ => panic!("{at}: no block is called {kind}"),
            }
        }
    }
    assert!(outputs > 10 && typed > 20, "{outputs}, {typed}");
}

#[test]
fn each_accident_has_its_test() {
    let accidents = fs::read_to_string(root().join("docs/accidents.md")).unwrap();
    let (tests, mut rows) = (tests(), 0);
    for accident in accidents.split("\n## ").skip(1) {
        let (_, tested) = accident.rsplit_once("Tested by").expect(accident);
        let names: Vec<&str> = tested.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{accident}");
        for name in names {
            assert!(tests.contains(name), "{name}");
        }
        rows += 1;
    }
    assert!(rows >= 12, "{rows}");
}

/// Sentences that readers stumbled over were turned round; these patterns of theirs stay away.
#[test]
fn no_page_has_a_pattern_that_was_banned() {
    let banned = fs::read_to_string(root().join("tests/record/english.txt")).unwrap();
    let banned: Vec<&str> =
        banned.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(banned.len() > 20, "{}", banned.len());
    let mut found = Vec::new();
    for (page, text) in pages() {
        for (n, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            let page = page.strip_prefix(root()).unwrap().display();
            let there = banned.iter().filter(|pattern| line.contains(**pattern));
            found.extend(there.map(|pattern| format!("{page}:{}: {pattern}", n + 1)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
