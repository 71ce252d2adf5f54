//! An HGS cluster that is a model, driven by the step list that the scripts implement, and the real
//! ceremony beside it: whatever goes wrong, at whatever step, is refused by name, and the former
//! primary keys are in force then or again.

mod cluster;
mod evidence;
mod fault;
mod folder;
mod proving;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ceremony::services::{Service, hgs::Hgs};
use fault::Fault;
use record::{rule::Rule, terms::Role};
use walk::{Move, Walk, hgs, of_program};

/// Where something is noticed: script, step, rule.
type Place = (&'static str, &'static str, Rule);

/// Where each fault may be noticed first.
const NOTICED: [(Fault, &[Place]); 10] = [
    (Fault::SigningUnreadable, UNREADABLE),
    (Fault::EncryptionUnreadable, UNREADABLE),
    (Fault::CommunicationsUnreadable, &[(TEST, "diagnose", Rule::NodeDiagnostic)]),
    (
        Fault::CurrentUser,
        &[
            (INSTALL, "install-certificates", Rule::NodeCertificate),
            (INSTALL, "bind", Rule::NodeCertificate),
            (INSTALL, "grant", Rule::NodeCertificate),
            (TEST, "diagnose", Rule::NodeCertificate),
            (TEST, "prove", Rule::NodeCertificate),
        ],
    ),
    (Fault::SoftwareKey, UNBOUND),
    (
        Fault::OneThumbprint,
        &[
            (INSTALL, "register", Rule::NodeRegistered),
            (TEST, "diagnose", Rule::NodeRegistered),
            (SET, "record-primaries", Rule::NodeRegistered),
            (SET, "set-encryption", Rule::NodePrimary),
        ],
    ),
    (
        Fault::NoAudits,
        &[
            (INSTALL, "register", Rule::NodeService),
            (TEST, "diagnose", Rule::NodeService),
            (SET, "record-primaries", Rule::NodeService),
            (SET, "set-signing", Rule::NodeService),
            (SET, "set-encryption", Rule::NodeService),
            (SET, "read-back", Rule::NodeService),
        ],
    ),
    (Fault::NoSession, UNREADABLE),
    (Fault::KeysOff, UNBOUND),
    (Fault::ClockAhead, &[(TEST, "prove", Rule::EvidenceClock)]),
];
const INSTALL: &str = "Install-KeyferryNode.ps1";
const TEST: &str = "Test-KeyferryNode.ps1";
const SET: &str = "Set-KeyferryPrimary.ps1";
const UNDO: &str = "Undo-KeyferryPrimary.ps1";
const UNREADABLE: &[Place] = &[
    (INSTALL, "grant", Rule::NodeGrant),
    (TEST, "diagnose", Rule::NodeDiagnostic),
    (TEST, "prove", Rule::NodeGrant),
];
const UNBOUND: &[Place] = &[
    (INSTALL, "bind", Rule::NodeBinding),
    (INSTALL, "grant", Rule::NodeBinding),
    (TEST, "diagnose", Rule::NodeBinding),
    (TEST, "prove", Rule::NodeBinding),
];

/// A fault before every step of every script at every node, each on the way from there on.
#[test]
fn whatever_goes_wrong_at_whatever_step_is_refused_by_name() {
    let mut walk = Walk::new(hgs("deployment = \"rotation\""));
    let nodes = walk.nodes();
    let flow = Move::flow(&nodes);
    // Without a fault all of it goes through; each move's beginning is kept, to go on from with
    // one.
    let mut beginnings = Vec::new();
    for one in &flow {
        beginnings.push(walk.copy());
        walk.go(one, None).unwrap();
    }
    walk.stage.own().hoster(&["primary"]).ok();

    let mut noticed: BTreeMap<Fault, BTreeSet<Place>> = BTreeMap::new();
    let mut rolled_back = HashMap::new();
    let mut tried = 0;
    // The last round is the one after the soak hours: it notices what happens behind the first
    // one's back.
    for (at, one) in flow.iter().enumerate().take(flow.len() - nodes.len()) {
        let Move::Script(program, node) = one else {
            continue;
        };
        let steps = 0..of_program(program).count();
        for (step, fault) in steps.flat_map(|step| Fault::ALL.map(|fault| (step, fault))) {
            let mut walk = beginnings[at].share();
            let (ended, what, rule) = walk.until_refused(&flow[at..], (step, fault));
            noticed.entry(fault).or_default().insert((what.program, what.name, rule));
            tried += 1;
            let ended = at + ended;
            if !walk.activated() {
                assert_eq!(
                    walk.cluster.primary, beginnings[0].cluster.primary,
                    "{fault:?} {one:?}"
                );
                continue;
            }
            // Officers had signed already: it is mended, and rolled back.
            let folder =
                rolled_back.entry(ended).or_insert_with(|| beginnings[ended].rolled_back());
            fault.is_mended(&mut walk.cluster, node, folder);
            walk.script(UNDO, &nodes[0], folder).unwrap();
            assert_eq!(walk.cluster.primary, beginnings[0].cluster.primary, "{fault:?} {one:?}");
        }
    }
    assert_eq!(tried, (3 * 6 + 3 * 4 + 6 + 3 * 4) * Fault::ALL.len());
    let expected = NOTICED.map(|(fault, places)| (fault, places.iter().copied().collect()));
    assert_eq!(noticed, expected.into());
}

/// What the model refuses by, its script says.
#[test]
fn the_rules_of_the_model_are_those_of_the_scripts() {
    let texts: BTreeMap<_, _> = Hgs.files().iter().copied().collect();
    for (program, step, rule) in NOTICED.iter().flat_map(|(_, places)| *places) {
        if *rule == Rule::EvidenceClock {
            continue;
        }
        let says = |text: &str| {
            text.contains(&format!("Refuse '{}'", rule.name()))
                || text.contains(&format!("Rule {}: ", rule.name()))
        };
        assert!(
            says(texts[program]) || says(texts["KeyferryCommon.ps1"]),
            "{program} {step} {}",
            rule.name()
        );
    }
}

/// The two calls are not one: where the second fails, the first is put back; where that fails too,
/// the next run does it.
#[test]
fn half_an_activation_is_put_back() {
    let mut walk = Walk::new(hgs("deployment = \"rotation\""));
    let nodes = walk.nodes();
    let flow = Move::flow(&nodes);
    for one in flow.iter().take(7) {
        walk.go(one, None).unwrap();
    }
    assert!(walk.activated());
    let former = walk.cluster.primary.clone();
    let folder = walk.folder();
    let ours = folder.ours();
    let mut refused = |sets, signing: &str, encryption: &str| {
        walk.cluster.sets = Some(sets);
        let error = walk.script(SET, &nodes[0], &folder);
        assert_eq!(error.unwrap_err().1, Rule::NodePrimary, "{sets:?}");
        let now = [Role::Signing, Role::Encryption].map(|role| walk.cluster.primary[&role].clone());
        assert_eq!(now, [signing, encryption], "{sets:?}");
    };
    let (signing, encryption) = (&former[&Role::Signing], &former[&Role::Encryption]);
    refused((0, 1), signing, encryption);
    refused((1, 1), signing, encryption);
    refused((1, 2), &ours[&Role::Signing], encryption);
    // What the last run left is half of what this one does.
    walk.cluster.sets = None;
    walk.script(SET, &nodes[0], &folder).unwrap();
    assert_eq!(walk.cluster.primary, ours);
    walk.script(SET, &nodes[0], &folder).unwrap();
    assert_eq!(walk.cluster.primary, ours);
}

/// Somebody else made another certificate primary meanwhile: nothing is set over it, and nothing
/// restored over it.
#[test]
fn what_officers_did_not_see_is_not_replaced() {
    let mut walk = Walk::new(hgs("deployment = \"rotation\""));
    let nodes = walk.nodes();
    let flow = Move::flow(&nodes);
    for one in flow.iter().take(7) {
        walk.go(one, None).unwrap();
    }
    let other = "C".repeat(40);
    let undo = walk.rolled_back();
    let before = walk.clone();
    for (program, folder) in [(SET, walk.folder()), (UNDO, undo)] {
        walk = before.clone();
        walk.cluster.known.insert((Role::Encryption, other.clone()));
        walk.cluster.primary.insert(Role::Encryption, other.clone());
        let now = walk.cluster.primary.clone();
        let (step, rule) = walk.script(program, &nodes[0], &folder).unwrap_err();
        assert_eq!((step.name, rule), ("record-primaries", Rule::NodePrimary));
        assert_eq!(walk.cluster.primary, now);
    }
}

/// A cluster that is not there yet: nothing can be granted or added before activation, and
/// everything is after it.
#[test]
fn a_new_cluster_begins_with_the_tenants_keys() {
    let mut walk = Walk::new(hgs("deployment = \"new\""));
    let nodes = walk.nodes();
    let flow = Move::flow(&nodes);
    for one in flow.iter().take(8) {
        walk.go(one, None).unwrap();
    }
    assert!(walk.activated() && walk.cluster.service);
    assert_eq!(walk.cluster.primary, walk.folder().ours());
    // There were no primaries before, so nobody is asked to sign for a way back to them.
    let rollback = walk.stage.own().hoster(&["rollback"]);
    rollback.refused("NODE-PRIMARY");
    // The service's account has no rights yet: Install runs once more on each node.
    let (step, rule) = walk.go(&flow[8], None).unwrap_err();
    assert_eq!((step.name, rule), ("diagnose", Rule::NodeDiagnostic));
    for node in &nodes {
        walk.go(&Move::Script(INSTALL, node.clone()), None).unwrap();
        walk.go(&Move::Script(TEST, node.clone()), None).unwrap();
    }
    let said = walk.stage.own().hoster(&["primary"]).ok();
    assert!(said.contains("registration"), "{said}");
}
