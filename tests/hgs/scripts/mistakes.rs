//! Planted mistakes: each is an edit of a real script, which the checker must name.

use super::{SCRIPTS, findings, read};

const COMMON: &str = SCRIPTS[0];
const INSTALL: &str = SCRIPTS[1];
const TEST: &str = SCRIPTS[2];
const SET: &str = SCRIPTS[3];
const UNDO: &str = SCRIPTS[4];

const SIGN: &str =
    "Set-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $Thumbprint -IsPrimary";
const ENCRYPT: &str = "Set-HgsKeyProtectionCertificate -CertificateType Encryption -Thumbprint $Thumbprint -IsPrimary";

/// A script, what is replaced (once, the first), by what, and what the checker says of it.
type Mistake = (&'static str, &'static str, &'static str, &'static str);

const MISTAKES: &[Mistake] = &[
    // Commands and parameters.
    (INSTALL, "-NoCertificateReplication", "-NoReplication", "has no parameter -NoReplication"),
    (INSTALL, " -NoCertificateReplication", "", "without -NoCertificateReplication"),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType Signature -Thumbprint $Thumbprint -IsPrimary",
        "takes one of [\"Signing\", \"Encryption\"], not Signature",
    ),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType $role -Thumbprint $Thumbprint -IsPrimary",
        "not $role",
    ),
    (COMMON, "-IsPrimary -Force -Confirm", "-IsPrimary -Confirm", "without -Force"),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $Thumbprint -IsPrimary $true",
        "takes no value",
    ),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType Signing -IsPrimary",
        "without -Thumbprint",
    ),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType Signing -IsPrimary -Thumbprint",
        "-Thumbprint lacks its value",
    ),
    (
        COMMON,
        SIGN,
        "Set-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $Thumbprint -IsEnabled $false",
        "has no parameter -IsEnabled",
    ),
    (
        COMMON,
        SIGN,
        "Remove-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $Thumbprint",
        "unknown command Remove-HgsKeyProtectionCertificate",
    ),
    (
        SET,
        "Wait-Initialized $brief",
        "Initialize-HgsServer $brief",
        "unknown command Initialize-HgsServer",
    ),
    (INSTALL, " -Confirm:$false -ErrorAction Stop", " -ErrorAction Stop", "without -Confirm"),
    (
        COMMON,
        "-ErrorAction Stop | Out-Null",
        "| Out-Null",
        "Register-ScheduledTask without -ErrorAction",
    ),
    (COMMON, "-IsPrimary $true", "-IsPrimary", "-IsPrimary takes one of"),
    (
        COMMON,
        "Get-IISAppPool -Name KeyProtection",
        "Get-IISAppPool -Name KeyProtector",
        "-Name takes one of",
    ),
    (INSTALL, "Start-Sleep -Seconds 5", "Wait-Sleep -Seconds 5", "unknown command Wait-Sleep"),
    (
        INSTALL,
        "certutil -addstore My",
        "certutil -user -addstore My",
        "certutil has no parameter -user",
    ),
    (TEST, "whoami)", "Invoke-Expression 'whoami')", "unknown command Invoke-Expression"),
    (COMMON, "Get-ChildItem -LiteralPath $Folder -File", "ls $Folder", "unknown command ls"),
    (COMMON, "ForEach-Object -Process", "% -Process", "unknown command %"),
    (COMMON, "Where-Object -FilterScript", "? -FilterScript", "unknown command ?"),
    (
        COMMON,
        "System.Security.Cryptography.SHA256CryptoServiceProvider",
        "System.Security.Cryptography.SHA256Cng2",
        "New-Object -TypeName takes one of",
    ),
    (COMMON, "& $Check", "& $Advice", "a command that is computed: & $Advice"),
    (
        COMMON,
        "ConvertFrom-Json)",
        "ConvertFrom-Json -AsHashtable)",
        "has no parameter -AsHashtable",
    ),
    (
        INSTALL,
        "Assert-Turn $brief $orders $Node",
        "Assert-Turn($brief, $orders, $Node)",
        "Assert-Turn is called with parentheses",
    ),
    (
        INSTALL,
        "Assert-Turn $brief $orders $Node",
        "Assert-Turn $brief $orders $Node $stage",
        "Assert-Turn takes no value",
    ),
    (
        INSTALL,
        "Assert-Turn $brief $orders $Node",
        "Assert-Turn $brief $orders",
        "Assert-Turn is given 2 of 3 values",
    ),
    (
        INSTALL,
        "Repair-Binding $brief $key }",
        "Repair-Bindings $brief $key }",
        "unknown command Repair-Bindings",
    ),
    (
        TEST,
        "::Pkcs1)",
        "::Pkcs)",
        "unknown member System.Security.Cryptography.RSASignaturePadding::Pkcs",
    ),
    // Syntax.
    (
        SET,
        "if ($now.signing -cne $signing) {",
        "if ($now.signing -cne $signing {",
        "does not parse",
    ),
    (SET, "$prior = Get-Primaries", "$prior = Get-Primaries && exit 0", "5.1"),
    (UNDO, "$prior = Get-Primaries", "$prior = $former ?? (Get-Primaries)", ""),
    (TEST, "$name = $Node + '-'", "$name = $AsService ? 'a' : 'b' + '-'", ""),
    (
        COMMON,
        "    } finally {\n        $stream.Dispose()\n    }\n",
        "    }\n",
        "try without catch or finally",
    ),
    (COMMON, "# What the four", "# What \u{201c}the four", "not plain ASCII"),
    (COMMON, "'keyferry/1'", "'{{format}}'", "placeholder {{"),
    (SET, "\n    Set-StrictMode -Version 2.0\n", "\n", "lacks & {"),
    (UNDO, "SupportsShouldProcess = $true, ", "", "lacks SupportsShouldProcess"),
    // Order.
    (
        INSTALL,
        "                Wait-Registered 'signing' $signing.thumbprint | Out-Null\n",
        "",
        "Add-HgsKeyProtectionCertificate signing is not read back",
    ),
    (
        INSTALL,
        "                Wait-Registered 'encryption'",
        "                Wait-Registered 'signing'",
        "Add-HgsKeyProtectionCertificate encryption is not read back",
    ),
    (
        INSTALL,
        "Add-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $signing",
        "Add-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $encryption",
        "signing with $encryption",
    ),
    (
        COMMON,
        "return Wait-Primary $Role $Thumbprint $Prior",
        "return Get-Primaries",
        "is not read back",
    ),
    (
        SET,
        "Set-Primary 'signing' $signing $prior",
        "Set-Primary 'signing' $encryption $prior",
        "signing with $encryption",
    ),
    (
        COMMON,
        ENCRYPT,
        "Set-HgsKeyProtectionCertificate -CertificateType Encryption -Thumbprint $former.encryption -IsPrimary",
        "not by Set-Primary",
    ),
    (
        UNDO,
        "        $now = Wait-Primary 'encryption' $former.encryption $now\n",
        "",
        "is not read back",
    ),
    (SET, "    $prior = Get-Primaries\n", "", "before Get-Primaries"),
    (UNDO, "        Save-Primaries $PSScriptRoot $standing $prior\n", "", "before Save-Primaries"),
    (SET, "    Step 'set-signing'\n", "", "announces the steps"),
    (INSTALL, "Step 'bind'", "Step 'binds'", "announces the steps"),
    // Rules.
    (INSTALL, "Refuse 'NODE-ORDER'", "Refuse 'NODE-ORDERS'", "Refuse NODE-ORDERS: no such rule"),
    (
        COMMON,
        "Refuse 'NODE-GRANT' 'no application pool KeyProtection that runs as an account'",
        "Refuse 'NODE-GRANT'",
        "not four texts",
    ),
];

#[test]
fn every_planted_mistake_is_named() {
    let mut unnamed = Vec::new();
    for (name, from, to, said) in MISTAKES {
        let real = read(name);
        assert!(real.contains(from), "{name} has no {from:?}");
        let edited = real.replacen(from, to, 1);
        assert_ne!(real, edited, "{name}: {from:?} was not changed");
        let found = findings(name, &edited);
        if !found.iter().any(|finding| finding.contains(said)) {
            unnamed.push(format!("{name}: {from:?} as {to:?}: {found:#?}"));
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn swapped_calls_and_swapped_steps_are_named() {
    let real = read(SET);
    let (sign, encrypt) =
        ("Set-Primary 'signing' $signing $prior", "Set-Primary 'encryption' $encryption $now");
    let swapped = real.replacen(sign, "@", 1).replacen(encrypt, sign, 1).replacen('@', encrypt, 1);
    let swap_steps = |text: &str| {
        let text = text.replacen("Step 'set-signing'", "Step 'x'", 1);
        let text = text.replacen("Step 'set-encryption'", "Step 'set-signing'", 1);
        text.replacen("Step 'x'", "Step 'set-encryption'", 1)
    };
    for (edited, said) in
        [(swapped, "signing comes before encryption"), (swap_steps(&real), "announces the steps")]
    {
        assert_ne!(edited, real);
        let found = findings(SET, &edited);
        assert!(found.iter().any(|finding| finding.contains(said)), "{found:#?}");
    }
}
