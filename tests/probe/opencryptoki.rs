//! The only free token with CKM_RSA_AES_KEY_WRAP of its own: what is single-shot elsewhere by the
//! shim, it does itself.

use crate::common::{
    opencryptoki::is_possible,
    stage::{Done, Family, Setting, Stage},
};

const BOTH: [&str; 4] = ["--probe", "tenant.json", "--probe", "hoster.json"];
const CHECK: [&str; 3] = ["plan", "check", "plan/ceremony.toml"];

/// As the tenant's it carries keys out, by a KEK that its security officer trusts; as the hoster's
/// it makes every key that it unwraps one that can be read, which nothing waives.
#[test]
#[ignore = "a chroot of Debian forky, for root: `ceremony-scripts/test --part opencryptoki`"]
fn single_shot_of_a_token_of_its_own_carries_keys_out_and_takes_none() {
    if !is_possible() {
        println!("opencryptoki: NOT RUN, its chroot wants root and mmdebstrap");
        return;
    }
    let plan = Setting { oaep: "sha256", waivers: Vec::new(), ..Setting::default() };
    let tenant = Setting { tenant: Family::Opencryptoki, hoster: Family::Kryoptic, ..plan.clone() };
    let mut stage = Stage::with(tenant, |plan| plan);
    for side in ["tenant", "hoster"] {
        stage.probe(side);
    }
    let said = stage.auditor(&[&CHECK[..], &BOTH].concat()).ok();
    assert!(said.contains("nothing of this plan will be refused"), "{said}");
    stage.walk_to(Done::TenantClose);

    let untrusted = "TARGET-WRAP-WITH-TRUSTED";
    for (tenant, mechanism, waivers, rule) in [
        (Family::Kryoptic, "single-shot", vec![untrusted], "TARGET-ATTRIBUTES"),
        (Family::Kryoptic, "composite", vec!["WRAP-COMPOSITE"], "WRAP-AES-KEY"),
        (Family::Opencryptoki, "single-shot", vec![], "TARGET-ATTRIBUTES"),
    ] {
        let hoster = Setting {
            tenant,
            hoster: Family::Opencryptoki,
            mechanism,
            waivers: waivers.into_iter().map(str::to_owned).collect(),
            ..plan.clone()
        };
        let mut stage = Stage::with(hoster, |plan| plan);
        for side in ["tenant", "hoster"] {
            stage.probe(side);
        }
        let said = stage.auditor(&[&CHECK[..], &BOTH].concat()).refused(rule);
        assert!(said.contains("foretold for the hoster's kek create"), "{said}");
        assert!(said.contains("CKA_SENSITIVE false"), "{said}");
        // Nor is there a plan that it would keep: what blocks each way is said, and the rule is
        // that of the weakest.
        let plan = stage.auditor(&[&["plan", "new", "new.toml"][..], &BOTH].concat());
        let said = plan.refused("WRAP-AES-KEY");
        for way in ["single-shot with sha256", "composite with sha1"] {
            assert!(said.contains(&format!("{way}: the hoster's token, by ")), "{said}");
        }
        stage.walk_to(Done::Init);
        stage.hoster(&["kek", "create"]).refused(rule);
    }
}
