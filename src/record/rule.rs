//! Every named rule: its name in errors, logs, documents and plans, whether a plan may waive it,
//! what it demands, and what is wrong where it refuses.

use serde::{Deserialize, Serialize};

use crate::quote;

macro_rules! rules {
    ($($variant:ident $name:literal $waivable:literal $text:literal $fault:literal;)*) => {
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

            /// What is wrong where the rule refuses, in one sentence.
            pub const fn fault(self) -> &'static str {
                match self { $(Rule::$variant => $fault,)* }
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
    PlanSyntax "PLAN-SYNTAX" false "the plan is TOML with the fields of the format and no others" "the plan is no TOML with exactly the fields of the format";
    PlanField "PLAN-FIELD" false "every field of the plan holds a value of its kind" "a field of the plan holds no value of its kind";
    PlanRepeated "PLAN-REPEATED" false "no id, SSH key, recipient or key label stands in the plan twice" "an id, SSH key, recipient, key or node stands in the plan twice";
    PlanTwoRoles "PLAN-TWO-ROLES" false "nobody holds two roles that check each other" "one person holds two roles that check each other";
    PlanQuorum "PLAN-QUORUM" false "2 <= threshold <= custodians <= 16" "the plan's custodians and threshold make no quorum";
    PlanApprovals "PLAN-APPROVALS" false "each side needs at least two officers, and no more than it has" "the plan does not ask for at least two officers of a side, or asks for more than it has";
    PlanWaiver "PLAN-WAIVER" false "a waiver names a waivable rule that this plan breaks or its token or machine may break, with a reason" "a waiver of the plan is missing, without a reason, or for what cannot or need not be waived";
    PlanNoSpare "PLAN-NO-SPARE" true "one officer and one custodian more than needed, so that one absence does not end the ceremony" "the plan has no officer or no custodian to spare";
    PlanTarget "PLAN-TARGET" false "keys and target of the plan are such as the service can use" "the service cannot use the keys or the target of this plan";
    PlanTrial "PLAN-TRIAL" false "a plan that names a trial begins only with the whole record of that trial, on the same nodes" "the record of the trial is missing, or does not fit this plan";
    PlanChanged "PLAN-CHANGED" false "the plan's bytes are those that were agreed at init" "this is not the plan that was agreed";
    PlanHsm "PLAN-HSM" false "a production plan names each side's HSM, and the token is one of those named" "this HSM is not in the plan, or the plan names none";

    // Signatures of people.
    SignatureFormat "SIGNATURE-FORMAT" false "a signature file is one intact OpenSSH signature, version 1, SHA-512" "this is no intact OpenSSH signature";
    SignatureTrailing "SIGNATURE-TRAILING" false "nothing follows a signature" "something follows the signature in its file";
    SignatureNamespace "SIGNATURE-NAMESPACE" false "a signature is made for the purpose it is used for" "the signature was made for another purpose";
    SignatureDocument "SIGNATURE-DOCUMENT" false "a signature is over exactly these bytes" "the signature does not fit this file";
    SignatureUnknown "SIGNATURE-UNKNOWN" false "a signature file is named after a person of the plan" "nobody of the plan who can sign has this id";
    SignatureKey "SIGNATURE-KEY" false "a signature is made with a key of the plan" "the signature was made with a key that is not in the plan";
    SignaturePerson "SIGNATURE-PERSON" false "a signature is made with the key of the person its file is named after" "the signature was made by somebody else than its file is named after";
    SignatureRepeated "SIGNATURE-REPEATED" false "one person's signature counts once" "one person has signed twice, under two names";
    SignatureSide "SIGNATURE-SIDE" false "a signature is made by an officer of the side that must sign" "the signature is of an officer of the wrong side";
    SignatureWitness "SIGNATURE-WITNESS" false "a witness may countersign, but is never counted as an officer" "witnesses have signed in the place of officers";
    SignaturePresence "SIGNATURE-PRESENCE" false "a FIDO2 signature says that its holder touched the key" "the signature was made without a touch of the FIDO2 key";
    SignatureMissing "SIGNATURE-MISSING" false "enough officers have signed" "signatures of officers are missing";

    // Gates and the room.
    ApprovalSubject "APPROVAL-SUBJECT" false "what is done is exactly what officers have signed for" "this is not what the officers have signed for";
    BagNumber "BAG-NUMBER" false "a tamper-evident bag comes back closed and with the number under which it left, or officers have signed for it" "a tamper-evident bag has not come back as it left";
    AbortSuperseded "ABORT-SUPERSEDED" false "the ceremony that a plan supersedes was aborted" "the ceremony that this plan supersedes was not aborted";

    // Words read aloud and typed.
    WordsMismatch "WORDS-MISMATCH" false "the words typed are those of the value" "the words typed do not match";

    // Documents and files.
    DocumentFormat "DOCUMENT-FORMAT" false "a document is JSON with the fields of the format and no others" "the file is no JSON with exactly the fields of its format";
    DocumentSize "DOCUMENT-SIZE" false "a file is no larger than its kind can be" "the file is larger than its kind can be";
    DocumentSurplus "DOCUMENT-SURPLUS" false "a document's folder holds the document, what it lists, its signatures, and nothing else" "the folder holds something that does not belong there";
    DocumentMissing "DOCUMENT-MISSING" false "every file that a document lists is there" "a file of the document is missing";
    DocumentLink "DOCUMENT-LINK" false "a document's files are plain files" "a link, or something else that is no plain file or folder, is in the way";
    DocumentHash "DOCUMENT-HASH" false "every file has the hash and length that its document lists" "a file is not the one that was listed";
    DocumentKind "DOCUMENT-KIND" false "a document is of the kind this step takes" "the file is not of the kind that is needed here";
    DocumentSide "DOCUMENT-SIDE" false "a document comes from the side that makes it" "the document was made by the wrong side";
    DocumentCeremony "DOCUMENT-CEREMONY" false "a document belongs to this ceremony" "the file belongs to another ceremony";
    DocumentMode "DOCUMENT-MODE" false "a rehearsal's document never enters production, nor the reverse" "the document is of a rehearsal and the ceremony is not, or the reverse";
    DocumentPlan "DOCUMENT-PLAN" false "a document was made under exactly this plan" "the file was not made under this plan";
    DocumentAttempt "DOCUMENT-ATTEMPT" false "a document is of the current attempt" "the document is of another attempt";
    DocumentAnswers "DOCUMENT-ANSWERS" false "a document answers the one that this side released" "the document does not answer the one that it must";
    DocumentContent "DOCUMENT-CONTENT" false "a document says what the plan and the earlier documents say" "the document contradicts the plan or the earlier documents";

    // The record.
    LogFormat "LOG-FORMAT" false "every line of the log is one canonical entry" "a line of the log is no canonical entry";
    LogChain "LOG-CHAIN" false "every entry of the log names the hash of the one before it" "the log was changed: it does not go on from what was recorded of it";
    LogEvent "LOG-EVENT" false "every entry of the log is a step that may follow the one before it" "the log holds a step that cannot follow the one before it, or lacks one";
    LogSource "LOG-SOURCE" false "an entry of the log says what the plan, the documents, the signatures and the entries before it say" "an entry of the log contradicts the plan, the documents, the signatures or the entries before it";
    PhaseOrder "PHASE-ORDER" false "a step is taken when the ceremony has come to it" "it is not the time for this step";
    CeremonyExists "CEREMONY-EXISTS" false "a folder holds one ceremony, begun once" "the folder holds a ceremony, or documents of one, already";
    Mirror "MIRROR" true "the ceremony folder has an up-to-date copy on another medium" "the ceremony folder has no up-to-date copy on another medium";
    FileExists "FILE-EXISTS" false "nothing is overwritten" "a file of this name is there already, and nothing is overwritten";
    FileSystem "FILE-SYSTEM" false "the ceremony folder and its mirror lie on a file system that keeps what they hold as it is made" "the file system does not keep what it is given as it is";

    // The token and its PIN.
    TokenNotFound "TOKEN-NOT-FOUND" false "exactly one token has the label asked for" "no token, or more than one, has this label";
    PinCountLow "PIN-COUNT-LOW" false "no PIN is tried while the token says that few tries are left, unless two officers have signed for it" "few tries of the PIN are left, or none";
    PinFinalTry "PIN-FINAL-TRY" false "the last try of a PIN is never spent by Keyferry" "only the last try of the PIN is left";
    HsmMechanism "HSM-MECHANISM" false "the token has every mechanism that its side of the ceremony uses" "the token lacks a mechanism that is needed";
    PinFile "PIN-FILE" false "a PIN file serves rehearsals only" "a PIN file was given in production";

    // The machine.
    PreflightSwap "PREFLIGHT-SWAP" true "the machine swaps nothing out to a disk" "the machine may swap memory out to a disk";
    PreflightCoreDump "PREFLIGHT-CORE-DUMP" true "a crash writes no memory to a disk" "a crash may write memory to a disk";
    PreflightPtrace "PREFLIGHT-PTRACE" true "no program traces this one, and none of the same person can" "another program traces this one, or may";
    PreflightMemoryLock "PREFLIGHT-MEMORY-LOCK" true "the program's memory is locked" "the program's memory is not locked";
    PreflightNetwork "PREFLIGHT-NETWORK" true "no network is up but the planned HSM's own" "a network is up that must not be, or nobody can tell";
    PreflightLoader "PREFLIGHT-LOADER" true "no variable tells the loader, the C library or OpenSSL what to put into a program" "a variable may put foreign code into programs";
    PreflightPkcs11Spy "PREFLIGHT-PKCS11-SPY" false "no variable puts a spy before the PKCS#11 module" "a variable puts a spy before the PKCS#11 module";
    PreflightP11Kit "PREFLIGHT-P11-KIT" true "no variable steers p11-kit, which may put a module before the HSM's" "a variable may put another module before the HSM's";
    PreflightMedium "PREFLIGHT-MEDIUM" true "a medium is mounted nosuid, nodev and noexec" "the medium is not mounted nosuid, nodev and noexec";
    PreflightSoftware "PREFLIGHT-SOFTWARE" true "program and PKCS#11 module are those that the plan names, by SHA-256" "a program or PKCS#11 module is not the one that the plan names";
    PreflightClock "PREFLIGHT-CLOCK" true "the clock is not behind the record" "the clock is behind the record";

    // The KEK.
    KekToken "KEK-TOKEN" false "the KEK is a token object" "the KEK would not stay on the token";
    KekPrivate "KEK-PRIVATE" false "the KEK is private" "the KEK can be used without a PIN";
    KekSensitive "KEK-SENSITIVE" false "the KEK is sensitive" "the KEK is not sensitive";
    KekExtractable "KEK-EXTRACTABLE" false "the KEK can never leave its HSM" "the KEK can leave its HSM";
    KekUnwrap "KEK-UNWRAP" false "the KEK can unwrap" "the KEK cannot unwrap";
    KekDecrypt "KEK-DECRYPT" false "the KEK cannot decrypt" "the KEK can decrypt";
    KekSign "KEK-SIGN" false "the KEK cannot sign" "the KEK can sign";
    KekSignRecover "KEK-SIGN-RECOVER" true "the KEK cannot sign with recovery" "the KEK can sign with recovery";
    KekDerive "KEK-DERIVE" true "the KEK cannot derive" "the KEK can derive";
    KekModifiable "KEK-MODIFIABLE" true "the KEK's attributes cannot be changed" "the KEK's attributes can be changed";
    KekCopyable "KEK-COPYABLE" true "the KEK cannot be copied" "the KEK can be copied";
    KekAllowedMechanisms "KEK-ALLOWED-MECHANISMS" true "the KEK allows exactly the one unwrap mechanism" "the KEK is not bound to the one unwrap mechanism";
    KekUnwrapTemplate "KEK-UNWRAP-TEMPLATE" true "the KEK forces what it unwraps to stay in the HSM" "the KEK does not force what it unwraps to stay in the HSM";
    KekUnwrapPrivate "KEK-UNWRAP-PRIVATE" true "the KEK forces what it unwraps to be a private key; else a dishonest hoster could have a target key that works without a login" "the KEK does not force what it unwraps to be a private key";
    KekUnwrapTwoSteps "KEK-UNWRAP-TWO-STEPS" true "the KEK unwraps target keys by one step only; one that also unwraps by RSA-OAEP lets a dishonest hoster open the AES key alone, and with it a target key as one that can be read" "the KEK also unwraps by RSA-OAEP, and so an AES key alone";
    KekAttackReadable "KEK-ATTACK-READABLE" true "the KEK unwraps no key that is asked for as one that can be read; else a dishonest hoster could ask, and read a target key" "the KEK unwraps a key as one that can be read, where that is asked for";
    KekAttackSilent "KEK-ATTACK-SILENT" true "the KEK unwraps no key as one that can be read where nothing is said of that; else a dishonest hoster could say nothing, and read a target key" "the KEK unwraps a key as one that can be read, where nothing is said of that";
    KekAttackAesKey "KEK-ATTACK-AES-KEY" true "the KEK unwraps no AES key alone that is asked for as one that can be read; else a dishonest hoster could ask, and open a target key outside of the HSM" "the KEK unwraps an AES key alone as one that can be read, where that is asked for";
    KekAttackAesKeySilent "KEK-ATTACK-AES-KEY-SILENT" true "the KEK unwraps no AES key alone as one that can be read where nothing is said of that; else a dishonest hoster could say nothing, and open a target key outside of the HSM" "the KEK unwraps an AES key alone as one that can be read, where nothing is said of that";
    KekKey "KEK-KEY" false "the KEK is an RSA key of the plan's size with exponent 65537" "the KEK is another key than it must be";
    KekLocal "KEK-LOCAL" false "the KEK was made inside its HSM and was never readable" "the HSM does not say that it made the KEK itself, never readable";
    KekGone "KEK-GONE" false "a destroyed KEK is really gone" "a KEK that was destroyed is still there";

    // What an HSM's vendor says of a key.
    AttestationFormat "ATTESTATION-FORMAT" false "an attestation is a chain of certificates in PEM, the key's own first, the root's last" "the attestation is no chain of certificates in PEM";
    AttestationChain "ATTESTATION-CHAIN" false "each certificate of an attestation was valid at the ceremony, and is issued by the next, which may issue it" "a certificate of the attestation is not issued by the next, or was not valid";
    AttestationRoot "ATTESTATION-ROOT" false "an attestation leads to a root that the plan pins" "the attestation leads to no root that the plan pins";
    AttestationKey "ATTESTATION-KEY" false "an attestation is about the key beside it" "the attestation is about another key";
    AttestationOrigin "ATTESTATION-ORIGIN" false "an attested key was made inside its HSM" "the attestation does not say that the key was made inside its HSM";
    AttestationUsage "ATTESTATION-USAGE" false "an attested key cannot leave its HSM, and does no more than the plan says" "the attestation lets the key leave its HSM, or do more than the plan says";
    AttestationLevel "ATTESTATION-LEVEL" false "attestation reaches the level that the plan asks for" "the attestation proves less than the plan asks for";

    // The target keys.
    TargetAmbiguous "TARGET-AMBIGUOUS" false "exactly one key of the token fits" "more than one key of the token fits, or more than one certificate of it";
    TargetExists "TARGET-EXISTS" false "no other key has the label of a key that is to be made or imported" "another key has the label already";
    TargetRepeated "TARGET-REPEATED" false "no two labels of a plan have one key" "two labels of the plan have the same key";
    TargetMissing "TARGET-MISSING" false "every key of the plan is on the token" "a key of the plan is not on the token";
    TargetSensitive "TARGET-SENSITIVE" false "a target key is sensitive" "the target key is not sensitive";
    TargetExtractable "TARGET-EXTRACTABLE" false "a target key may be wrapped out of the tenant's HSM" "the target key cannot be wrapped out of the tenant's HSM";
    TargetWrapWithTrusted "TARGET-WRAP-WITH-TRUSTED" true "only a KEK that the HSM's security officer has marked trusted can wrap a target key" "the target key can be wrapped with a KEK that nobody has marked trusted";
    TargetKey "TARGET-KEY" false "a target key has the plan's type and size, and exponent 65537" "the target key is not of the plan's type and size, or not whole";
    TargetCertificate "TARGET-CERTIFICATE" false "a target key's certificate holds its public half, and is signed by it" "the certificate is not one of this target key, signed by it";
    TargetAttributes "TARGET-ATTRIBUTES" false "an imported key is sensitive, not extractable, and has the planned usages only" "the imported key is not as it must be: sensitive, never to leave, the planned usages only";
    TargetLocal "TARGET-LOCAL" false "a key that is born at the hoster was made inside its HSM, and can never leave it" "the HSM does not say that it made the key itself, never to leave it";
    TargetModulus "TARGET-MODULUS" false "an imported key is the tenant's key" "the imported key is not the tenant's key";
    TargetGone "TARGET-GONE" false "a destroyed target key is really gone" "a key that should be gone is still there";

    // Wrap and seal.
    WrapSingleShot "WRAP-SINGLE-SHOT" false "the token can do CKM_RSA_AES_KEY_WRAP where the plan says single-shot" "the token cannot do CKM_RSA_AES_KEY_WRAP, which the plan asks for";
    WrapComposite "WRAP-COMPOSITE" true "a wrapped key is opened in one step, so that the KEK's template binds the target key" "a wrapped key is opened in two steps, so that the KEK's template does not bind the target key";
    WrapOaepSha1 "WRAP-OAEP-SHA1" true "RSA-OAEP uses SHA-256" "RSA-OAEP uses SHA-1";
    WrapOaepHash "WRAP-OAEP-HASH" false "the OAEP hash observed is the plan's" "the token does not use the OAEP hash of the plan";
    WrapKwp "WRAP-KWP" false "the AES key wrap observed is RFC 5649" "the token's AES key wrap is not RFC 5649";
    WrapZeroFilled "WRAP-ZERO-FILLED" true "what a cloud service unwraps is a PKCS#8 and no zeros behind it" "zeros stand behind the wrapped PKCS#8, and the plan does not waive that";
    WrapAesKey "WRAP-AES-KEY" false "the AES key between KEK and target key is sensitive, cannot leave its HSM at the hoster, and serves this wrap only" "the AES key between KEK and target key is not as it must be";
    WrapCanary "WRAP-CANARY" false "a throwaway key wrapped by the same calls opens in software to the same key" "a throwaway key did not come back from this token's wrap as it went in";
    WrapFormat "WRAP-FORMAT" false "a wrapped key has the size and form of its key" "the wrapped key has not the size or form of its key";
    SealOpen "SEAL-OPEN" false "a sealed key opens under the quorum's secret, unchanged" "the sealed key does not open";

    // Shares.
    ShareFormat "SHARE-FORMAT" false "a share is one intact record of 68 bytes, 109 base32 characters" "the share, or the age file, is not intact";
    SharePackage "SHARE-PACKAGE" false "a share belongs to this package" "the share belongs to another package";
    ShareCommitment "SHARE-COMMITMENT" false "a share is the one that the package commits to" "the share is not the one that was dealt";
    ShareRepeated "SHARE-REPEATED" false "a share counts once" "the share was given already";
    ShareQuorum "SHARE-QUORUM" false "as many custodians as the plan's threshold have given their shares" "shares are missing";
    ShareFile "SHARE-FILE" false "a share file is the one that was dealt to its custodian" "this is not the share file that was dealt";
    AgePlugin "AGE-PLUGIN" false "the programs that a custodian's recipient or identity needs are on the machine" "a program that a custodian's recipient or identity needs is not on the machine";
    ShareIdentity "SHARE-IDENTITY" false "an identity opens the share file it is given with" "the identity, or its passphrase, does not open this share file";
    ShareCode "SHARE-CODE" false "the words a custodian sees are those of the share that was dealt" "the words are not those of the share that was dealt";
    ShareUnconfirmed "SHARE-UNCONFIRMED" false "every custodian has confirmed before the package leaves" "custodians have not confirmed their shares";
    ShareCustodian "SHARE-CUSTODIAN" false "a custodian is one of the plan" "this is no custodian of the plan, or has no deputy";
    ShareShown "SHARE-SHOWN" false "a share is shown to its holder only" "the share would not be shown to its holder only";
    IdentityPassphrase "IDENTITY-PASSPHRASE" false "an identity that is printed is encrypted with a passphrase" "the identity has no passphrase";
    LineCheck "LINE-CHECK" false "each line that is typed from a page fits the group that checks it" "a line is not as the page has it";
    LineFormat "LINE-FORMAT" false "the lines that are typed are all those of one page" "the lines are not those of one page";
    FrameFormat "FRAME-FORMAT" false "a QR code is one of Keyferry's frames, and fits the others" "the QR codes are not frames of Keyferry's that fit each other";
    FrameMissing "FRAME-MISSING" false "every frame was scanned" "a frame is missing";
    FrameHash "FRAME-HASH" false "scanned frames give the payload whose hash the first names" "the scanned frames are not what was shown";
    FramePicture "FRAME-PICTURE" false "a picture is a PNG or JPEG that shows at least one frame" "a picture shows no frame that can be read";
    ShareDeal "SHARE-DEAL" false "every quorum of the shares dealt opens the seal, before any leaves" "the shares dealt do not open the seal";

    // The package, the proofs, the target.
    PackageSignature "PACKAGE-SIGNATURE" false "a package is signed, inside the tenant's HSM, by the signing keys it carries" "the package is not signed by the keys that it carries";
    PackageImported "PACKAGE-IMPORTED" false "a package is imported once" "a package was imported already";
    ProofSignature "PROOF-SIGNATURE" false "the hoster's HSM signs as the tenant's key" "the hoster's HSM does not sign as the tenant's key";
    ProofAnswer "PROOF-ANSWER" false "the hoster's HSM decrypts as the tenant's key" "the hoster's HSM does not decrypt as the tenant's key";
    RegistryFormat "REGISTRY-FORMAT" false "the registry of the local target is intact" "the registry of the local target is damaged, or another's";
    TargetPrimary "TARGET-PRIMARY" false "a key is retired when it serves no more" "the key still serves as a primary key";
    SourceBackup "SOURCE-BACKUP" false "the tenant's originals go only after the hoster has said how it has backed the keys up" "the hoster has not said how it has backed the keys up";
    SourceLeft "SOURCE-LEFT" false "a tenant whose plan destroys the originals closes after they are gone" "the tenant's originals are not gone yet";
    TrialEnds "TRIAL-ENDS" false "a trial stops before its keys become primary" "a trial ends before its keys become primary";

    // A node, as its scripts find it.
    NodeFolder "NODE-FOLDER" false "a node is given the whole register folder, unchanged" "the node has not the whole register folder, unchanged";
    NodeMachine "NODE-MACHINE" false "a node has what the scripts need: rights, providers, a whole PowerShell" "the node lacks something that the scripts need";
    NodeOrder "NODE-ORDER" false "a node begins when the one before it is green, and what changes the primaries begins when officers have signed" "no order says that this may begin";
    NodeCertificate "NODE-CERTIFICATE" false "a node has the certificates in LocalMachine\\My" "the node has not the certificates in LocalMachine\\My";
    NodeBinding "NODE-BINDING" false "a certificate is bound to the key in the planned key storage provider" "a certificate is not bound to its key in the planned key storage provider";
    NodeGrant "NODE-GRANT" false "the service's account may read the key" "the service's account may not read the key";
    NodeRegistered "NODE-REGISTERED" false "the service knows both certificates, each for its role" "the service does not know both certificates, each for its role";
    NodeService "NODE-SERVICE" false "the Key Protection Service answers its cmdlets" "the Key Protection Service does not answer its cmdlets";
    NodeProof "NODE-PROOF" false "the keys sign and decrypt for the service's account" "the keys do not sign or decrypt for the service's account";
    NodePrimary "NODE-PRIMARY" false "the primary certificates are those that the order names" "the primary certificates are not, or cannot become, those that the order names";

    // What a node proves.
    EvidenceFormat "EVIDENCE-FORMAT" false "a node's evidence is one whole file as its program wrote it" "this is no evidence as a node's program writes it";
    EvidenceSignature "EVIDENCE-SIGNATURE" false "a node's evidence is signed by the tenant's key" "the evidence is not signed by the tenant's key";
    EvidenceNode "EVIDENCE-NODE" false "each node's evidence is its own" "the evidence is not of this node";
    EvidenceStage "EVIDENCE-STAGE" false "a node's evidence is of the stage and the order that stand now" "the evidence is of another stage or order than the one that stands now";
    EvidenceAccount "EVIDENCE-ACCOUNT" false "a node proves as the account of the service, not as an administrator" "the proofs were not made by the service's account";
    EvidenceCertificate "EVIDENCE-CERTIFICATE" false "a node has the tenant's certificates" "the node has not the tenant's certificates";
    EvidenceProvider "EVIDENCE-PROVIDER" false "a node uses the key in the planned key storage provider" "the node does not use the key in the planned key storage provider";
    EvidencePrimary "EVIDENCE-PRIMARY" false "every node sees the same primary keys, and those that the stage demands" "the primary keys that were seen are not those that must be";
    EvidenceDiagnostic "EVIDENCE-DIAGNOSTIC" false "a node shows that the service's own diagnostics pass" "the service's own diagnostics are missing or have failed";
    EvidenceTurn "EVIDENCE-TURN" false "the nodes come in the plan's order, one green after the other" "it is another node's turn";
    EvidenceMissing "EVIDENCE-MISSING" false "every node has proven itself" "evidence of nodes is missing";
    EvidenceSoak "EVIDENCE-SOAK" false "a node proves itself again after the planned hours and a restart of the service" "the node has not proven itself after the planned hours and a restart of the service";
    EvidenceClock "EVIDENCE-CLOCK" false "a node's clock is near this machine's" "the node's clock is ahead of this machine's";
    MetadataFormat "METADATA-FORMAT" false "a node's metadata is XML as the service publishes it" "this is no metadata as the service publishes it";
    MetadataCertificate "METADATA-CERTIFICATE" false "the service publishes the tenant's certificates as its primary ones" "the service does not publish the tenant's certificates as its primary ones";
    ArchiveIncomplete "ARCHIVE-INCOMPLETE" false "an archive holds the whole record of the ceremony" "the archive does not hold the whole record";
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
