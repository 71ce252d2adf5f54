//! Two families of tokens on either side, both mechanisms, both hashes, every size of key; and
//! every mechanism missing in turn: each is a whole ceremony, or ends with the refusal that `plan
//! check --probe` foretold. The tables of docs/hsm.md are made here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::common::stage::{Done, Family, Setting, Stage};

/// The mechanisms that a ceremony may need, as Kryoptic's configuration names them.
const NEEDED: [&str; 5] = [
    "CKM_RSA_PKCS_KEY_PAIR_GEN",
    "CKM_SHA256_RSA_PKCS",
    "CKM_RSA_PKCS_OAEP",
    "CKM_AES_KEY_GEN",
    "CKM_AES_KEY_WRAP_KWP",
];

/// What became of one ceremony.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `carried`, or the rule with side and command.
    pub end: String,
    pub waivers: Vec<String>,
}

/// The reports of honest tokens, by family, shim and side.
pub type Probes = BTreeMap<(String, bool, &'static str), PathBuf>;

/// Of each family, mechanism and hash one ceremony (with SHA-1, which every family knows, between
/// two families); and each mechanism missing once.
#[test]
fn a_combination_of_each_kind_is_carried_or_refused_as_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let probes = probes(folder.path());
    let mut chosen = combinations();
    chosen.retain(|setting| {
        let same = setting.tenant == setting.hoster;
        setting.bits == 2048 && same == (setting.oaep == "sha256")
    });
    assert_eq!(chosen.len(), 8);
    let combined = chosen.len();
    // Each mechanism once, on either side, in either way.
    let missing = missing().into_iter().enumerate();
    let one_each = missing.filter(|(n, _)| n % NEEDED.len() * 6 % 20 == *n);
    chosen.extend(one_each.map(|(_, setting)| setting));
    assert_eq!(chosen.len(), combined + NEEDED.len());
    let outcomes = on_both_cores(&chosen, |setting| foretold(setting, &probes, Done::TenantClose));
    // SoftHSM does no OAEP with SHA-256.
    let carried = outcomes.iter().filter(|outcome| outcome.end == "carried");
    assert_eq!(carried.count(), 6, "{outcomes:#?}");
    for (setting, outcome) in chosen.iter().zip(&outcomes).skip(combined) {
        assert_ne!(outcome.end, "carried", "{setting:?}");
    }
}

#[test]
#[ignore = "minutes: `ceremony-scripts/test --part matrix`"]
fn every_combination_is_carried_or_refused_as_foretold() {
    let folder = tempfile::tempdir().unwrap();
    let probes = probes(folder.path());
    let settings = combinations();
    let outcomes =
        on_both_cores(&settings, |setting| foretold(setting, &probes, Done::TenantClose));
    let carried = outcomes.iter().filter(|outcome| outcome.end == "carried");
    assert!(carried.count() >= 30, "{outcomes:#?}");

    let missing = missing();
    let without = on_both_cores(&missing, |setting| foretold(setting, &probes, Done::TenantClose));
    for (setting, outcome) in missing.iter().zip(&without) {
        assert_ne!(outcome.end, "carried", "{setting:?}");
    }
    document(&tables(&settings, &outcomes, &missing, &without));
}

/// Both families on either side, both mechanisms, both hashes, every size of key.
fn combinations() -> Vec<Setting> {
    let mut settings = Vec::new();
    for tenant in Family::ALL {
        for hoster in Family::ALL {
            for (mechanism, shim) in [("single-shot", true), ("composite", false)] {
                for oaep in ["sha256", "sha1"] {
                    for bits in [2048, 3072, 4096] {
                        settings.push(Setting {
                            tenant,
                            hoster,
                            shim,
                            mechanism,
                            oaep,
                            bits,
                            waivers: waivers_of(mechanism, oaep),
                            ..Setting::default()
                        });
                    }
                }
            }
        }
    }
    assert_eq!(settings.len(), 48);
    settings
}

/// Kryoptic on both sides, with every mechanism missing on either.
fn missing() -> Vec<Setting> {
    let mut missing = Vec::new();
    for side in ["tenant", "hoster"] {
        for mechanism in ["single-shot", "composite"] {
            for denied in NEEDED {
                missing.push(Setting {
                    tenant: Family::Kryoptic,
                    hoster: Family::Kryoptic,
                    shim: mechanism == "single-shot",
                    mechanism,
                    oaep: "sha256",
                    waivers: waivers_of(mechanism, "sha256"),
                    denied: Some((side, denied.to_owned())),
                    ..Setting::default()
                });
            }
        }
    }
    missing
}

fn waivers_of(mechanism: &str, oaep: &str) -> Vec<String> {
    let mut waivers = Vec::new();
    if mechanism == "composite" {
        waivers.push("WRAP-COMPOSITE".to_owned());
    }
    if oaep == "sha1" {
        waivers.push("WRAP-OAEP-SHA1".to_owned());
    }
    waivers
}

/// Probes a token of each kind on each side, once.
pub fn probes(folder: &Path) -> Probes {
    let mut kinds = Vec::new();
    for family in Family::ALL {
        for shim in [true, false] {
            kinds.push((family, shim));
        }
    }
    let reports = on_both_cores(&kinds, |(family, shim)| {
        let stage = Stage::with(
            Setting { tenant: *family, hoster: *family, shim: *shim, ..Setting::default() },
            |plan| plan,
        );
        ["tenant", "hoster"].map(|side| {
            let kept = folder.join(format!("{family:?}-{shim}-{side}.json"));
            fs::copy(stage.probe(side), &kept).unwrap();
            ((format!("{family:?}"), *shim, side), kept)
        })
    });
    reports.into_iter().flatten().collect()
}

/// Foretells a ceremony, with the waivers that the forecast asks for, and then holds it so far.
pub fn foretold(setting: &Setting, probes: &Probes, until: Done) -> Outcome {
    let mut setting = setting.clone();
    let mut stage = Stage::with(setting.clone(), |plan| plan);
    let mut forecast = forecast(&stage, probes);
    let needed: Vec<String> = serde_json::from_value(forecast["needed"].clone()).unwrap();
    if !needed.is_empty() {
        setting.waivers.extend(needed);
        stage = Stage::with(setting.clone(), |plan| plan);
        forecast = self::forecast(&stage, probes);
    }
    let droppable = forecast["droppable"].as_array().unwrap();
    let ways = forecast["ways"].as_array().unwrap();
    for droppable in droppable {
        // What can be dropped is a choice of the plan; of the token nothing is waived that it
        // keeps.
        let rule = droppable["rule"].as_str().unwrap();
        assert!(rule.starts_with("WRAP-") && ways.len() > 1, "{droppable}");
    }
    let ended = stage.walk_until_refused(until);
    let unknown = forecast["unknown"].as_array().unwrap();
    let is_unknown = |command: &str| {
        let (side, rest) = command.split_once(' ').unwrap();
        let of = |said: &str| {
            let of_side = said.strip_prefix(&format!("the {side}'s "));
            of_side
                .and_then(|said| said.split_once(": "))
                .is_some_and(|(of, _)| rest.starts_with(of))
        };
        unknown.iter().any(|said| of(said.as_str().unwrap()))
    };
    // What is foretold of a command holds, whatever else of it is not known.
    let is_foretold = |command: &str, refused: Option<&serde_json::Value>| {
        refused.is_some_and(|refused| {
            let of = |part: &str| refused[part].as_str().unwrap();
            command.starts_with(&format!("{} {}", of("side"), of("command")))
        })
    };
    let end = match (ended, forecast["refusals"].get(0)) {
        (None, None) => "carried".to_owned(),
        (Some((command, ended)), refused)
            if is_unknown(&command) && !is_foretold(&command, refused) =>
        {
            assert_ne!(ended.code, 0);
            format!("not known, and ended at the {command}")
        }
        (Some((command, ended)), Some(refused)) => {
            let side = refused["side"].as_str().unwrap();
            let is_foretold = is_foretold(&command, Some(refused));
            assert!(is_foretold, "{setting:?}: {command} {ended:?} {refused}");
            let rule = match refused["rule"].as_str() {
                Some(rule) => {
                    ended.refused(rule);
                    rule
                }
                None => {
                    ended.ended_with(5);
                    "the token itself"
                }
            };
            format!("{rule} at the {side}'s {}", refused["command"].as_str().unwrap())
        }
        (ended, refused) => panic!("{setting:?}: ended {ended:?}, foretold {refused:?}"),
    };
    Outcome { end, waivers: setting.waivers }
}

fn forecast(stage: &Stage, probes: &Probes) -> serde_json::Value {
    let setting = &stage.setting;
    let report = |side: &'static str, family: Family| match &setting.denied {
        Some((denied, _)) if *denied == side => {
            let file = stage.path(&format!("{side}.json"));
            if !file.exists() {
                stage.probe(side);
            }
            file
        }
        _ => probes[&(format!("{family:?}"), setting.shim, side)].clone(),
    };
    let (tenant, hoster) = (report("tenant", setting.tenant), report("hoster", setting.hoster));
    let checked = stage.auditor(&[
        "plan",
        "check",
        "plan/ceremony.toml",
        "--json",
        "--probe",
        tenant.to_str().unwrap(),
        "--probe",
        hoster.to_str().unwrap(),
    ]);
    let forecast: serde_json::Value =
        serde_json::from_str(&checked.out).unwrap_or_else(|error| panic!("{error}: {checked:?}"));
    let refused = !forecast["refusals"].as_array().unwrap().is_empty();
    assert_eq!(checked.code != 0, refused, "{checked:?}");
    forecast
}

/// The machine has two cores; a ceremony is one program after the other.
pub fn on_both_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let run = || {
        while let Some((at, item)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        } {
            let result = work(item);
            done.lock().unwrap().insert(at, result);
        }
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(run), scope.spawn(run)];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    done.into_inner().unwrap().into_values().collect()
}

fn tables(
    settings: &[Setting],
    outcomes: &[Outcome],
    missing: &[Setting],
    without: &[Outcome],
) -> String {
    let mut text = String::from(
        "| tenant | hoster | way | OAEP | RSA 2048 | RSA 3072 | RSA 4096 | waived |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (settings, outcomes) in settings.chunks(3).zip(outcomes.chunks(3)) {
        let setting = &settings[0];
        let ends: Vec<_> = outcomes.iter().map(|outcome| outcome.end.as_str()).collect();
        text.push_str(&format!(
            "| {:?} | {:?} | {} | {} | {} | {} |\n",
            setting.tenant,
            setting.hoster,
            setting.mechanism,
            setting.oaep,
            ends.join(" | "),
            outcomes[0].waivers.join(", ")
        ));
    }
    text.push_str("\nKryoptic on both sides, SHA-256, RSA 2048, with one mechanism missing:\n\n| missing at | mechanism | single-shot | composite |\n|---|---|---|---|\n");
    let half = NEEDED.len();
    for (settings, outcomes) in missing.chunks(2 * half).zip(without.chunks(2 * half)) {
        for n in 0..half {
            let (side, denied) = settings[n].denied.as_ref().unwrap();
            text.push_str(&format!(
                "| {side} | {denied} | {} | {} |\n",
                outcomes[n].end,
                outcomes[n + half].end
            ));
        }
    }
    text
}

/// Puts the tables into docs/hsm.md; where they were others, that is a failure to look at.
fn document(tables: &str) {
    const BEGIN: &str = "<!-- written by tests/probe/matrix.rs -->\n";
    const END: &str = "<!-- end -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hsm.md");
    let before = fs::read_to_string(&path).unwrap();
    let (head, rest) = before.split_once(BEGIN).expect("the place of the tables");
    let (_, tail) = rest.split_once(END).expect("the end of the tables");
    let after = format!("{head}{BEGIN}{tables}{END}{tail}");
    if after != before {
        fs::write(&path, after).unwrap();
        panic!("docs/hsm.md was written anew: look at what changed, and commit it");
    }
}
