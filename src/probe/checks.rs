//! What the steps of a ceremony ask of a token that its answers alone decide: a step calls each with
//! what its token says, a forecast with what a report says.

use crate::needs::Need;
use record::{KwpFlavour, Plan, Result, Rule, Side, TokenIdentity, TransferRoute, escape};

/// The token is one of those that the plan names for this side, where it names any.
///
/// # Errors
/// `PLAN-HSM`.
pub fn planned(plan: &Plan, side: Side, token: &TokenIdentity) -> Result<()> {
    let Some(planned) = &plan.party(side).hsm else {
        return Ok(());
    };
    Rule::PlanHsm.ensure(
        planned.names(token),
        escape(&token.to_string()),
        escape(&planned.to_string()),
        "the operator connects the planned HSM, or chooses its token with --token. If that HSM is lost, only a clone or backup of the same keys whose \
         serial stands in the plan can take its place, and this command goes on with it. Without one the officers of both sides give this ceremony up \
         and sign a new plan that names the other HSM, and this plan's hash as what it `supersedes`",
    )
}

/// The token lists what its side cannot do without.
///
/// # Errors
/// `HSM-MECHANISM`.
pub fn listed(need: &Need, token: &str, lists: bool) -> Result<()> {
    Rule::HsmMechanism.ensure(
        lists,
        format!("{token} has no {} ({}), which {}", need.name, need.id, need.purpose),
        "a token that has it",
        "allow the mechanism by the HSM's policy, or use a token that has it; `probe` shows what a token has",
    )
}

/// Zeros behind the PKCS#8 are no matter at the hoster, whose import was tried; the importer of a
/// cloud service is not ours.
///
/// # Errors
/// `WRAP-ZERO-FILLED`.
pub fn unfilled(plan: &Plan, kwp: KwpFlavour) -> Result<()> {
    let filled = plan.way == TransferRoute::Cloud && kwp == KwpFlavour::Rfc5649ZeroFilled;
    Rule::WrapZeroFilled.ensure(
        !filled || plan.waives(Rule::WrapZeroFilled),
        "the token fills the PKCS#8 with zero bytes before it wraps it (rfc5649-zero-filled)",
        "exactly the PKCS#8: whether the service takes it filled, only the service can say",
        "try it at the service with a throwaway key of a rehearsal; where it takes it, agree on a plan that waives WRAP-ZERO-FILLED, else on another token",
    )
}
