//! A target key as the hoster's HSM has it, imported or born there.

use crate::{CkaId, Fits, Id, KeyPlan, Plan, ReadBack, differs, ensure, require, strict_json};

/// One key in the hoster's HSM.
#[strict_json]
pub struct HeldKey {
    /// Its label in the plan.
    pub label: Id,
    /// Its CKA_ID at the hoster.
    pub id: CkaId,
    /// Its CKA_LABEL at the hoster.
    pub hoster_label: String,
    /// Its attributes, as read back in a new session: a claim of the module. LOCAL,
    /// ALWAYS_SENSITIVE and NEVER_EXTRACTABLE are false or absent where it was born elsewhere.
    pub attributes: Vec<ReadBack>,
}

/// What the hoster must at least say of every target key.
const HELD: &[(&str, &str)] = &[
    ("CKA_TOKEN", "true"),
    ("CKA_PRIVATE", "true"),
    ("CKA_SENSITIVE", "true"),
    ("CKA_EXTRACTABLE", "false"),
    ("CKA_UNWRAP", "false"),
    ("CKA_DERIVE", "false"),
];

/// What it must say besides of a key that was born there (PKCS#11 v3.1, 4.8 and 4.9).
pub const BORN: &[(&str, &str)] =
    &[("CKA_LOCAL", "true"), ("CKA_ALWAYS_SENSITIVE", "true"), ("CKA_NEVER_EXTRACTABLE", "true")];

impl HeldKey {
    /// Whether it is the planned key, where the hoster's attempt puts it.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn check(&self, planned: &KeyPlan, plan: &Plan, attempt: u32) -> Fits {
        let found = format!("{} in the place of {}", self.label, planned.label);
        ensure(self.label == planned.label, found, "the plan's keys, in the plan's order")?;
        let label = self.label.as_str();
        let (id, hoster_label) = (plan.target_id(label, attempt), plan.hoster_label(label));
        let found = format!("{label} under the CKA_ID {}", self.id);
        let expected = format!("CKA_ID {id} and label {hoster_label}");
        ensure(self.id == id && self.hoster_label == hoster_label, found, expected)?;
        // A token need not know these; where it does, nobody can change or copy the key, or recover
        // by it.
        let loose = |one: &&ReadBack| {
            let kinds = ["CKA_MODIFIABLE", "CKA_COPYABLE", "CKA_SIGN_RECOVER"];
            kinds.contains(&&*one.attribute) && one.value == "true"
        };
        if let Some(loose) = self.attributes.iter().find(loose) {
            return differs(
                format!("{label} with {} true", loose.attribute),
                format!("{} false", loose.attribute),
            );
        }
        let flag = |holds| if holds { "true" } else { "false" };
        let usage = [("CKA_SIGN", planned.usage.sign), ("CKA_DECRYPT", planned.usage.decrypt)];
        require(&self.attributes, &usage.map(|(attribute, holds)| (attribute, flag(holds))))?;
        require(&self.attributes, HELD)
    }
}
