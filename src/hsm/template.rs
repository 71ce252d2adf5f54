//! What each object of a ceremony must be: one table for each kind (design, section 4; PKCS#11
//! v3.1, 4). Templates are made of them, and what a token made of a template is read back against
//! them.

use cryptoki_sys::*;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::attribute::{Attribute, Value, bytes, flag, flags, number, template};
use crate::kek::KekSpec;
use crate::public_key::{PublicHalf, generation, key_type};
use crate::target::TargetSpec;
use record::Result;
use record::rule::Rule;
use record::terms::{KeyType, Mechanism, Usage};

/// How an object of ours is found, by programs and by people.
pub(super) fn named(id: &[u8], label: &str) -> [Attribute; 2] {
    [bytes(CKA_ID, id), bytes(CKA_LABEL, label.as_bytes())]
}

/// The objects of one class that Keyferry makes under one CKA_ID.
pub(super) fn of_class(class: CK_OBJECT_CLASS, id: &[u8]) -> [Attribute; 2] {
    [number(CKA_CLASS, class), bytes(CKA_ID, id)]
}

/// What only a key that was made in the token has; attributes that no template can set.
pub(super) fn made_here() -> Vec<Attribute> {
    flags(&[CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE], true)
}

/// The KEK's private half, each attribute with the rule that it keeps (design, section 4.1; PKCS#11
/// v3.1, 4.9). In this order: SoftHSM takes CKA_MODIFIABLE false only as the last, CKA_COPYABLE
/// before it.
pub(super) fn kek_private(token: bool, mechanism: Mechanism) -> Vec<(Attribute, Rule)> {
    let (allowed, unwrapped) = unwrapped_by(mechanism);
    vec![
        (flag(CKA_TOKEN, token), Rule::KekToken),
        (flag(CKA_PRIVATE, true), Rule::KekPrivate),
        (flag(CKA_SENSITIVE, true), Rule::KekSensitive),
        (flag(CKA_EXTRACTABLE, false), Rule::KekExtractable),
        (flag(CKA_UNWRAP, true), Rule::KekUnwrap),
        (flag(CKA_DECRYPT, false), Rule::KekDecrypt),
        (flag(CKA_SIGN, false), Rule::KekSign),
        (flag(CKA_SIGN_RECOVER, false), Rule::KekSignRecover),
        (flag(CKA_DERIVE, false), Rule::KekDerive),
        (allowed, Rule::KekAllowedMechanisms),
        (unwrapped, Rule::KekUnwrapTemplate),
        (flag(CKA_COPYABLE, false), Rule::KekCopyable),
        (flag(CKA_MODIFIABLE, false), Rule::KekModifiable),
    ]
}

/// The one mechanism that a KEK allows, and what it forces on the key that it unwraps.
pub(super) fn unwrapped_by(mechanism: Mechanism) -> (Attribute, Attribute) {
    let (allowed, unwrapped) = match mechanism {
        Mechanism::SingleShot => (CKM_RSA_AES_KEY_WRAP, unwrapped_target()),
        Mechanism::Composite => (CKM_RSA_PKCS_OAEP, unwrapped_aes()),
    };
    let allowed = Value::Mechanisms(vec![allowed]);
    (
        Attribute { kind: CKA_ALLOWED_MECHANISMS, value: allowed },
        template(CKA_UNWRAP_TEMPLATE, unwrapped),
    )
}

/// What a single-shot KEK forces on the target key that it unwraps (design, section 4.1).
fn unwrapped_target() -> Vec<Attribute> {
    vec![
        number(CKA_CLASS, CKO_PRIVATE_KEY),
        flag(CKA_PRIVATE, true),
        flag(CKA_SENSITIVE, true),
        flag(CKA_EXTRACTABLE, false),
    ]
}

/// What a composite KEK forces on the AES key that it unwraps (design, section 4.1). C_UnwrapKey
/// restates each of these.
fn unwrapped_aes() -> Vec<Attribute> {
    let mut forced = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        flag(CKA_SENSITIVE, true),
    ];
    forced.extend(flags(&[CKA_EXTRACTABLE, CKA_WRAP, CKA_ENCRYPT, CKA_DECRYPT], false));
    forced
}

/// The KEK's public half as it is made beside the private one.
pub(super) fn kek_public(token: bool, spec: KekSpec) -> Vec<Attribute> {
    let size = generation(KeyType::Rsa(spec.bits)).1;
    [public_usage(token, &[CKA_WRAP]), size].concat()
}

/// The KEK's public half as a session object that wraps and does nothing else.
pub(super) fn wrapping_kek(key: &PublicHalf) -> Vec<Attribute> {
    public_object(key, false, &[CKA_WRAP])
}

/// The KEK's public half that the tenant's security officer trusts: it wraps, and nothing else can
/// be done with it or to it.
pub(super) fn trusted_kek(key: &PublicHalf) -> Vec<Attribute> {
    let mut template = public_object(key, true, &[CKA_WRAP]);
    template.push(flag(CKA_TRUSTED, true));
    template
}

/// A target key at the tenant. It stays modifiable, so that the tenant can end CKA_EXTRACTABLE
/// after the ceremony.
pub(super) fn tenant_private(token: bool, spec: &TargetSpec) -> Vec<Attribute> {
    let mut template = vec![flag(CKA_TOKEN, token)];
    template.extend(flags(&[CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE], true));
    template.extend(private_usage(spec.usage));
    if spec.trusted_only {
        template.push(flag(CKA_WRAP_WITH_TRUSTED, true));
    }
    template.extend([flag(CKA_COPYABLE, false), flag(CKA_MODIFIABLE, true)]);
    template
}

/// A target key at the hoster, and what the AES key's UNWRAP_TEMPLATE pins where the token allows
/// it.
pub(super) fn hoster_private(kind: KeyType, usage: Usage) -> Vec<Attribute> {
    let mut template = unwrapped_target();
    template.insert(1, key_type(kind));
    template.extend(private_usage(usage));
    template
}

/// Attributes that a token need not take of a target key at the hoster. Tried in this order, each
/// list last in its template.
pub(super) fn endings() -> [Vec<Attribute>; 3] {
    [&[CKA_COPYABLE, CKA_MODIFIABLE][..], &[CKA_COPYABLE], &[]].map(|kinds| flags(kinds, false))
}

/// The usages of a private key, all of them explicit: tokens fill in surprising ones (PKCS#11 v3.1,
/// 4.9). CKA_WRAP does not exist on private keys.
fn private_usage(usage: Usage) -> Vec<Attribute> {
    let mut usages = vec![flag(CKA_SIGN, usage.sign), flag(CKA_DECRYPT, usage.decrypt)];
    usages.extend(flags(&[CKA_UNWRAP, CKA_DERIVE, CKA_SIGN_RECOVER], false));
    usages
}

/// The public half of a target key, as it is made beside the private one.
pub(super) fn target_public(token: bool, usage: Usage) -> Vec<Attribute> {
    public_usage(token, &target_usages(usage))
}

/// The public half of a target key, stored beside the private one that was unwrapped.
pub(super) fn stored_public(key: &PublicHalf, usage: Usage) -> Vec<Attribute> {
    public_object(key, true, &target_usages(usage))
}

fn target_usages(usage: Usage) -> Vec<CK_ATTRIBUTE_TYPE> {
    let usages = [(usage.sign, CKA_VERIFY), (usage.decrypt, CKA_ENCRYPT)];
    usages.into_iter().filter_map(|(wanted, kind)| wanted.then_some(kind)).collect()
}

/// A public key object from its numbers: a claim about nothing, so every usage but `usages` is
/// false.
fn public_object(key: &PublicHalf, token: bool, usages: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attribute> {
    let mut template = vec![number(CKA_CLASS, CKO_PUBLIC_KEY), key_type(key.kind())];
    template.extend(public_usage(token, usages));
    template.extend(key.attributes());
    template
}

/// The attributes of a public key, with these usages and no others.
fn public_usage(token: bool, usages: &[CK_ATTRIBUTE_TYPE]) -> Vec<Attribute> {
    let all = [CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP, CKA_DERIVE];
    let place = [flag(CKA_TOKEN, token), flag(CKA_PRIVATE, false)];
    place.into_iter().chain(all.map(|kind| flag(kind, usages.contains(&kind)))).collect()
}

/// The ephemeral AES-256 key of a composite wrap (design, section 4.3): a session object, readable
/// by nobody, that wraps one key and is wrapped once.
pub(super) fn ephemeral_aes() -> Vec<Attribute> {
    let mut template = vec![
        number(CKA_CLASS, CKO_SECRET_KEY),
        number(CKA_KEY_TYPE, CKK_AES),
        number(CKA_VALUE_LEN, 32),
        flag(CKA_TOKEN, false),
    ];
    template.extend(flags(&[CKA_PRIVATE, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_WRAP], true));
    template.extend(flags(&[CKA_UNWRAP, CKA_ENCRYPT, CKA_DECRYPT], false));
    template.extend(flags(&[CKA_SIGN, CKA_VERIFY, CKA_DERIVE], false));
    template
}

/// The AES key of a composite wrap at the hoster: it unwraps one key and is destroyed. The KEK's
/// UNWRAP_TEMPLATE is restated whole, because some tokens demand it.
pub(super) fn unwrapping_aes() -> Vec<Attribute> {
    let mut template = unwrapped_aes();
    template.extend([flag(CKA_TOKEN, false), flag(CKA_PRIVATE, true), flag(CKA_UNWRAP, true)]);
    template.extend(flags(&[CKA_SIGN, CKA_VERIFY, CKA_DERIVE], false));
    template
}

/// The certificate beside a target key (PKCS#11 v3.1, 4.6.3): public, never changed.
///
/// # Errors
/// `TARGET-CERTIFICATE` where it is none.
pub(super) fn certificate(id: &[u8], label: &str, der: &[u8]) -> Result<Vec<Attribute>> {
    let certificate_error = |error: x509_cert::der::Error| {
        Rule::TargetCertificate.refuse(
            format!("a certificate that cannot be read: {error}"),
            "a DER certificate (RFC 5280)",
            "ask its sender for the document again",
        )
    };
    let certificate = Certificate::from_der(der).map_err(certificate_error)?;
    let tbs = certificate.tbs_certificate();
    let serial = tbs.serial_number().to_der().map_err(certificate_error)?;
    let mut template = vec![
        number(CKA_CLASS, CKO_CERTIFICATE),
        number(CKA_CERTIFICATE_TYPE, CKC_X_509),
        flag(CKA_TOKEN, true),
        bytes(CKA_SUBJECT, &tbs.subject().to_der().map_err(certificate_error)?),
        bytes(CKA_ISSUER, &tbs.issuer().to_der().map_err(certificate_error)?),
        bytes(CKA_SERIAL_NUMBER, &serial),
        bytes(CKA_VALUE, der),
    ];
    template.extend(named(id, label));
    template.extend(flags(&[CKA_PRIVATE, CKA_COPYABLE, CKA_MODIFIABLE], false));
    Ok(template)
}
