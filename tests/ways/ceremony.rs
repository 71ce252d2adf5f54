//! The whole ceremony, and what is refused on the way.

use crate::common::stage::{Done, Stage};

#[test]
fn the_whole_ceremony_ends_with_the_tenants_keys_primary() {
    let stage = Stage::at(Done::TenantClose);
    let registry = stage.json("hoster/registry.json");
    let plan = stage.json("medium/offer/offer.json")["header"]["plan_hash"].clone();
    assert_eq!(registry["primary"], plan);
    stage.ends_the_same("nothing went wrong");
    let noted = stage.verdict().noted;
    assert!(!noted.iter().any(|line| line.contains("trusted KEK")), "{noted:?}");
    assert!(
        stage.path("tenant/archive/SHA256SUMS").exists()
            && stage.path("hoster/archive/SHA256SUMS").exists()
    );
}
