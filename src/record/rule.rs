//! Every named rule: its name in errors, logs, documents and plans, its text, and whether a plan
//! may waive it.

use serde::{Deserialize, Serialize};

use crate::escape::quote;

macro_rules! rules {
    ($($variant:ident $name:literal $waivable:literal $text:literal;)*) => {
        /// A named check. The name is the same in code, error, log and documents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        #[allow(missing_docs)] // each variant's documentation is its text
        pub enum Rule { $(#[doc = $text] $variant,)* }

        impl Rule {
            /// Every rule, in the order of this file.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)*];

            /// The name that a person, a log and a plan use, such as `KEK-DECRYPT`.
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }

            /// What the rule demands, in one sentence.
            pub const fn text(self) -> &'static str {
                match self { $(Rule::$variant => $text,)* }
            }

            /// Whether a plan may waive the rule, with a reason.
            pub const fn waivable(self) -> bool {
                match self { $(Rule::$variant => $waivable,)* }
            }
        }
    };
}

rules! {
    // The plan.
    PlanSyntax "PLAN-SYNTAX" false "the plan is TOML with the fields of the format and no others";
    PlanField "PLAN-FIELD" false "every field of the plan holds a value of its kind";
    PlanRepeated "PLAN-REPEATED" false "no id, SSH key, recipient or key label stands in the plan twice";
    PlanTwoRoles "PLAN-TWO-ROLES" false "nobody holds two roles that check each other";
    PlanQuorum "PLAN-QUORUM" false "2 <= threshold <= custodians <= 16";
    PlanApprovals "PLAN-APPROVALS" false "each side needs at least two officers, and no more than it has";
    PlanWaiver "PLAN-WAIVER" false "a waiver names a waivable rule that this plan breaks or its token or machine may break, with a reason";
    PlanNoSpare "PLAN-NO-SPARE" true "one officer and one custodian more than needed, so that one absence does not end the ceremony";
    PlanTarget "PLAN-TARGET" false "keys and target of the plan are such as the service can use";
    PlanTrial "PLAN-TRIAL" false "a plan that names a trial begins only with the whole record of that trial, on the same nodes";
    PlanChanged "PLAN-CHANGED" false "the plan's bytes are those that were agreed at init";
    PlanHsm "PLAN-HSM" false "a production plan names each side's HSM, and the token is one of those named";

    // Signatures of people.
    SignatureFormat "SIGNATURE-FORMAT" false "a signature file is one intact OpenSSH signature, version 1, SHA-512";
    SignatureTrailing "SIGNATURE-TRAILING" false "nothing follows a signature";
    SignatureNamespace "SIGNATURE-NAMESPACE" false "a signature is made for the purpose it is used for";
    SignatureDocument "SIGNATURE-DOCUMENT" false "a signature is over exactly these bytes";
    SignatureUnknown "SIGNATURE-UNKNOWN" false "a signature file is named after a person of the plan";
    SignatureKey "SIGNATURE-KEY" false "a signature is made with a key of the plan";
    SignaturePerson "SIGNATURE-PERSON" false "a signature is made with the key of the person its file is named after";
    SignatureRepeated "SIGNATURE-REPEATED" false "one person's signature counts once";
    SignatureSide "SIGNATURE-SIDE" false "a signature is made by an officer of the side that must sign";
    SignatureWitness "SIGNATURE-WITNESS" false "a witness may countersign, but is never counted as an officer";
    SignaturePresence "SIGNATURE-PRESENCE" false "a FIDO2 signature says that its holder touched the key";
    SignatureMissing "SIGNATURE-MISSING" false "enough officers have signed";

    // Gates and the room.
    ApprovalSubject "APPROVAL-SUBJECT" false "what is done is exactly what officers have signed for";
    BagNumber "BAG-NUMBER" false "a tamper-evident bag comes back closed and with the number under which it left, or officers have signed for it";
    AbortSuperseded "ABORT-SUPERSEDED" false "the ceremony that a plan supersedes was aborted";

    // Words read aloud and typed.
    WordsMismatch "WORDS-MISMATCH" false "the words typed are those of the value";

    // Documents and files.
    DocumentFormat "DOCUMENT-FORMAT" false "a document is JSON with the fields of the format and no others";
    DocumentSize "DOCUMENT-SIZE" false "a file is no larger than its kind can be";
    DocumentSurplus "DOCUMENT-SURPLUS" false "a document's folder holds the document, what it lists, its signatures, and nothing else";
    DocumentMissing "DOCUMENT-MISSING" false "every file that a document lists is there";
    DocumentLink "DOCUMENT-LINK" false "a document's files are plain files";
    DocumentHash "DOCUMENT-HASH" false "every file has the hash and length that its document lists";
    DocumentKind "DOCUMENT-KIND" false "a document is of the kind this step takes";
    DocumentSide "DOCUMENT-SIDE" false "a document comes from the side that makes it";
    DocumentCeremony "DOCUMENT-CEREMONY" false "a document belongs to this ceremony";
    DocumentMode "DOCUMENT-MODE" false "a rehearsal's document never enters production, nor the reverse";
    DocumentPlan "DOCUMENT-PLAN" false "a document was made under exactly this plan";
    DocumentAttempt "DOCUMENT-ATTEMPT" false "a document is of the current attempt";
    DocumentAnswers "DOCUMENT-ANSWERS" false "a document answers the one that this side released";
    DocumentContent "DOCUMENT-CONTENT" false "a document says what the plan and the earlier documents say";

    // The record.
    LogFormat "LOG-FORMAT" false "every line of the log is one canonical entry";
    LogChain "LOG-CHAIN" false "every entry of the log names the hash of the one before it";
    LogEvent "LOG-EVENT" false "every entry of the log is a step that may follow the one before it";
    LogSource "LOG-SOURCE" false "an entry of the log says what the plan, the documents, the signatures and the entries before it say";
    PhaseOrder "PHASE-ORDER" false "a step is taken when the ceremony has come to it";
    CeremonyExists "CEREMONY-EXISTS" false "a folder holds one ceremony, begun once";
    Mirror "MIRROR" true "the ceremony folder has an up-to-date copy on another medium";
    FileExists "FILE-EXISTS" false "nothing is overwritten";
    FileSystem "FILE-SYSTEM" false "the ceremony folder and its mirror lie on a file system that keeps what they hold as it is made";

    // The token and its PIN.
    TokenNotFound "TOKEN-NOT-FOUND" false "exactly one token has the label asked for";
    PinCountLow "PIN-COUNT-LOW" false "no PIN is tried while the token says that few tries are left, unless two officers have signed for it";
    PinFinalTry "PIN-FINAL-TRY" false "the last try of a PIN is never spent by Keyferry";
    HsmMechanism "HSM-MECHANISM" false "the token has every mechanism that its side of the ceremony uses";
    PinFile "PIN-FILE" false "a PIN file serves rehearsals only";

    // The machine.
    PreflightSwap "PREFLIGHT-SWAP" true "the machine swaps nothing out to a disk";
    PreflightCoreDump "PREFLIGHT-CORE-DUMP" true "a crash writes no memory to a disk";
    PreflightPtrace "PREFLIGHT-PTRACE" true "no program traces this one, and none of the same person can";
    PreflightMemoryLock "PREFLIGHT-MEMORY-LOCK" true "the program's memory is locked";
    PreflightNetwork "PREFLIGHT-NETWORK" true "no network is up but the planned HSM's own";
    PreflightLoader "PREFLIGHT-LOADER" true "no variable tells the loader, the C library or OpenSSL what to put into a program";
    PreflightPkcs11Spy "PREFLIGHT-PKCS11-SPY" false "no variable puts a spy before the PKCS#11 module";
    PreflightP11Kit "PREFLIGHT-P11-KIT" true "no variable steers p11-kit, which may put a module before the HSM's";
    PreflightMedium "PREFLIGHT-MEDIUM" true "a medium is mounted nosuid, nodev and noexec";
    PreflightSoftware "PREFLIGHT-SOFTWARE" true "program and PKCS#11 module are those that the plan names, by SHA-256";
    PreflightClock "PREFLIGHT-CLOCK" true "the clock is not behind the record";

    // The KEK.
    KekToken "KEK-TOKEN" false "the KEK is a token object";
    KekPrivate "KEK-PRIVATE" false "the KEK is private";
    KekSensitive "KEK-SENSITIVE" false "the KEK is sensitive";
    KekExtractable "KEK-EXTRACTABLE" false "the KEK can never leave its HSM";
    KekUnwrap "KEK-UNWRAP" false "the KEK can unwrap";
    KekDecrypt "KEK-DECRYPT" false "the KEK cannot decrypt";
    KekSign "KEK-SIGN" false "the KEK cannot sign";
    KekSignRecover "KEK-SIGN-RECOVER" true "the KEK cannot sign with recovery";
    KekDerive "KEK-DERIVE" true "the KEK cannot derive";
    KekModifiable "KEK-MODIFIABLE" true "the KEK's attributes cannot be changed";
    KekCopyable "KEK-COPYABLE" true "the KEK cannot be copied";
    KekAllowedMechanisms "KEK-ALLOWED-MECHANISMS" true "the KEK allows exactly the one unwrap mechanism";
    KekUnwrapTemplate "KEK-UNWRAP-TEMPLATE" true "the KEK forces what it unwraps to stay in the HSM";
    KekUnwrapPrivate "KEK-UNWRAP-PRIVATE" true "the KEK forces what it unwraps to be a private key; else a dishonest hoster could have a target key that works without a login";
    KekUnwrapTwoSteps "KEK-UNWRAP-TWO-STEPS" true "the KEK unwraps target keys by one step only; one that also unwraps by RSA-OAEP lets a dishonest hoster open the AES key alone, and with it a target key as one that can be read";
    KekAttackReadable "KEK-ATTACK-READABLE" true "the KEK unwraps no key that is asked for as one that can be read; else a dishonest hoster could ask, and read a target key";
    KekAttackSilent "KEK-ATTACK-SILENT" true "the KEK unwraps no key as one that can be read where nothing is said of that; else a dishonest hoster could say nothing, and read a target key";
    KekAttackAesKey "KEK-ATTACK-AES-KEY" true "the KEK unwraps no AES key alone that is asked for as one that can be read; else a dishonest hoster could ask, and open a target key outside of the HSM";
    KekAttackAesKeySilent "KEK-ATTACK-AES-KEY-SILENT" true "the KEK unwraps no AES key alone as one that can be read where nothing is said of that; else a dishonest hoster could say nothing, and open a target key outside of the HSM";
    KekKey "KEK-KEY" false "the KEK is an RSA key of the plan's size with exponent 65537";
    KekLocal "KEK-LOCAL" false "the KEK was made inside its HSM and was never readable";
    KekGone "KEK-GONE" false "a destroyed KEK is really gone";

    // What an HSM's vendor says of a key.
    AttestationFormat "ATTESTATION-FORMAT" false "an attestation is a chain of certificates in PEM, the key's own first, the root's last";
    AttestationChain "ATTESTATION-CHAIN" false "each certificate of an attestation was valid at the ceremony, and is issued by the next, which may issue it";
    AttestationRoot "ATTESTATION-ROOT" false "an attestation leads to a root that the plan pins";
    AttestationKey "ATTESTATION-KEY" false "an attestation is about the key beside it";
    AttestationOrigin "ATTESTATION-ORIGIN" false "an attested key was made inside its HSM";
    AttestationUsage "ATTESTATION-USAGE" false "an attested key cannot leave its HSM, and does no more than the plan says";
    AttestationLevel "ATTESTATION-LEVEL" false "attestation reaches the level that the plan asks for";

    // The target keys.
    TargetAmbiguous "TARGET-AMBIGUOUS" false "exactly one key of the token fits";
    TargetExists "TARGET-EXISTS" false "no other key has the label of a key that is to be made or imported";
    TargetRepeated "TARGET-REPEATED" false "no two labels of a plan have one key";
    TargetMissing "TARGET-MISSING" false "every key of the plan is on the token";
    TargetSensitive "TARGET-SENSITIVE" false "a target key is sensitive";
    TargetExtractable "TARGET-EXTRACTABLE" false "a target key may be wrapped out of the tenant's HSM";
    TargetWrapWithTrusted "TARGET-WRAP-WITH-TRUSTED" true "only a KEK that the HSM's security officer has marked trusted can wrap a target key";
    TargetKey "TARGET-KEY" false "a target key has the plan's type and size, and exponent 65537";
    TargetCertificate "TARGET-CERTIFICATE" false "a target key's certificate holds its public half, and is signed by it";
    TargetAttributes "TARGET-ATTRIBUTES" false "an imported key is sensitive, not extractable, and has the planned usages only";
    TargetLocal "TARGET-LOCAL" false "a key that is born at the hoster was made inside its HSM, and can never leave it";
    TargetModulus "TARGET-MODULUS" false "an imported key is the tenant's key";
    TargetGone "TARGET-GONE" false "a destroyed target key is really gone";

    // Wrap and seal.
    WrapSingleShot "WRAP-SINGLE-SHOT" false "the token can do CKM_RSA_AES_KEY_WRAP where the plan says single-shot";
    WrapComposite "WRAP-COMPOSITE" true "a wrapped key is opened in one step, so that the KEK's template binds the target key";
    WrapOaepSha1 "WRAP-OAEP-SHA1" true "RSA-OAEP uses SHA-256";
    WrapOaepHash "WRAP-OAEP-HASH" false "the OAEP hash observed is the plan's";
    WrapKwp "WRAP-KWP" false "the AES key wrap observed is RFC 5649";
    WrapZeroFilled "WRAP-ZERO-FILLED" true "what a cloud service unwraps is a PKCS#8 and no zeros behind it";
    WrapAesKey "WRAP-AES-KEY" false "the AES key between KEK and target key is sensitive, cannot leave its HSM at the hoster, and serves this wrap only";
    WrapCanary "WRAP-CANARY" false "a throwaway key wrapped by the same calls opens in software to the same key";
    WrapFormat "WRAP-FORMAT" false "a wrapped key has the size and form of its key";
    SealOpen "SEAL-OPEN" false "a sealed key opens under the quorum's secret, unchanged";

    // Shares.
    ShareFormat "SHARE-FORMAT" false "a share is one intact record of 68 bytes, 109 base32 characters";
    SharePackage "SHARE-PACKAGE" false "a share belongs to this package";
    ShareCommitment "SHARE-COMMITMENT" false "a share is the one that the package commits to";
    ShareRepeated "SHARE-REPEATED" false "a share counts once";
    ShareQuorum "SHARE-QUORUM" false "as many custodians as the plan's threshold have given their shares";
    ShareFile "SHARE-FILE" false "a share file is the one that was dealt to its custodian";
    AgePlugin "AGE-PLUGIN" false "the programs that a custodian's recipient or identity needs are on the machine";
    ShareIdentity "SHARE-IDENTITY" false "an identity opens the share file it is given with";
    ShareCode "SHARE-CODE" false "the words a custodian sees are those of the share that was dealt";
    ShareUnconfirmed "SHARE-UNCONFIRMED" false "every custodian has confirmed before the package leaves";
    ShareCustodian "SHARE-CUSTODIAN" false "a custodian is one of the plan";
    ShareShown "SHARE-SHOWN" false "a share is shown to its holder only";
    IdentityPassphrase "IDENTITY-PASSPHRASE" false "an identity that is printed is encrypted with a passphrase";
    LineCheck "LINE-CHECK" false "each line that is typed from a page fits the group that checks it";
    LineFormat "LINE-FORMAT" false "the lines that are typed are all those of one page";
    FrameFormat "FRAME-FORMAT" false "a QR code is one of Keyferry's frames, and fits the others";
    FrameMissing "FRAME-MISSING" false "every frame was scanned";
    FrameHash "FRAME-HASH" false "scanned frames give the payload whose hash the first names";
    FramePicture "FRAME-PICTURE" false "a picture is a PNG or JPEG that shows at least one frame";
    ShareDeal "SHARE-DEAL" false "every quorum of the shares dealt opens the seal, before any leaves";

    // The package, the proofs, the target.
    PackageSignature "PACKAGE-SIGNATURE" false "a package is signed, inside the tenant's HSM, by the signing keys it carries";
    PackageImported "PACKAGE-IMPORTED" false "a package is imported once";
    ProofSignature "PROOF-SIGNATURE" false "the hoster's HSM signs as the tenant's key";
    ProofAnswer "PROOF-ANSWER" false "the hoster's HSM decrypts as the tenant's key";
    RegistryFormat "REGISTRY-FORMAT" false "the registry of the local target is intact";
    TargetPrimary "TARGET-PRIMARY" false "a key is retired when it serves no more";
    SourceBackup "SOURCE-BACKUP" false "the tenant's originals go only after the hoster has said how it has backed the keys up";
    SourceLeft "SOURCE-LEFT" false "a tenant whose plan destroys the originals closes after they are gone";
    TrialEnds "TRIAL-ENDS" false "a trial stops before its keys become primary";

    // A node, as its scripts find it.
    NodeFolder "NODE-FOLDER" false "a node is given the whole register folder, unchanged";
    NodeMachine "NODE-MACHINE" false "a node has what the scripts need: rights, providers, a whole PowerShell";
    NodeOrder "NODE-ORDER" false "a node begins when the one before it is green, and what changes the primaries begins when officers have signed";
    NodeCertificate "NODE-CERTIFICATE" false "a node has the certificates in LocalMachine\\My";
    NodeBinding "NODE-BINDING" false "a certificate is bound to the key in the planned key storage provider";
    NodeGrant "NODE-GRANT" false "the service's account may read the key";
    NodeRegistered "NODE-REGISTERED" false "the service knows both certificates, each for its role";
    NodeService "NODE-SERVICE" false "the Key Protection Service answers its cmdlets";
    NodeProof "NODE-PROOF" false "the keys sign and decrypt for the service's account";
    NodePrimary "NODE-PRIMARY" false "the primary certificates are those that the order names";

    // What a node proves.
    EvidenceFormat "EVIDENCE-FORMAT" false "a node's evidence is one whole file as its program wrote it";
    EvidenceSignature "EVIDENCE-SIGNATURE" false "a node's evidence is signed by the tenant's key";
    EvidenceNode "EVIDENCE-NODE" false "each node's evidence is its own";
    EvidenceStage "EVIDENCE-STAGE" false "a node's evidence is of the stage and the order that stand now";
    EvidenceAccount "EVIDENCE-ACCOUNT" false "a node proves as the account of the service, not as an administrator";
    EvidenceCertificate "EVIDENCE-CERTIFICATE" false "a node has the tenant's certificates";
    EvidenceProvider "EVIDENCE-PROVIDER" false "a node uses the key in the planned key storage provider";
    EvidencePrimary "EVIDENCE-PRIMARY" false "every node sees the same primary keys, and those that the stage demands";
    EvidenceDiagnostic "EVIDENCE-DIAGNOSTIC" false "a node shows that the service's own diagnostics pass";
    EvidenceTurn "EVIDENCE-TURN" false "the nodes come in the plan's order, one green after the other";
    EvidenceMissing "EVIDENCE-MISSING" false "every node has proven itself";
    EvidenceSoak "EVIDENCE-SOAK" false "a node proves itself again after the planned hours and a restart of the service";
    EvidenceClock "EVIDENCE-CLOCK" false "a node's clock is near this machine's";
    MetadataFormat "METADATA-FORMAT" false "a node's metadata is XML as the service publishes it";
    MetadataCertificate "METADATA-CERTIFICATE" false "the service publishes the tenant's certificates as its primary ones";
    ArchiveIncomplete "ARCHIVE-INCOMPLETE" false "an archive holds the whole record of the ceremony";
}

impl Rule {
    /// The rule of this name.
    pub fn by_name(name: &str) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Rule::by_name(&name).ok_or_else(|| format!("no rule has the name {}", quote(&name)))
    }
}

impl From<Rule> for &'static str {
    fn from(rule: Rule) -> Self {
        rule.name()
    }
}
