//! What the scripts may call: the cmdlets of HGS as Microsoft documents them, what else of Windows
//! PowerShell 5.1 they use, and the static members of .NET Framework.

/// What a parameter takes.
#[derive(Clone, Copy)]
pub enum Takes {
    /// Nothing: it is a switch.
    Nothing,
    /// Any value.
    Value,
    /// One of these words, literally.
    OneOf(&'static [&'static str]),
}
use Takes::{Nothing, OneOf, Value};

/// A command: its parameters, and how many values may stand without a name.
pub struct Command {
    pub name: &'static str,
    pub parameters: &'static [(&'static str, Takes)],
    pub positional: usize,
    /// The parameters without which it is not called.
    pub wanted: &'static [&'static str],
}

const fn command(
    name: &'static str,
    parameters: &'static [(&'static str, Takes)],
    positional: usize,
    wanted: &'static [&'static str],
) -> Command {
    Command { name, parameters, positional, wanted }
}

const TYPE: (&str, Takes) = ("CertificateType", OneOf(&["Signing", "Encryption"]));
const THUMBPRINT: (&str, Takes) = ("Thumbprint", Value);
const QUIET: (&str, Takes) = ("ErrorAction", OneOf(&["SilentlyContinue"]));
/// Cmdlets of modules do not see the preferences of a script: what must hold is said to each.
const STOP: (&str, Takes) = ("ErrorAction", OneOf(&["Stop"]));
/// The script asks, in its own words: the cmdlet does not once more.
const FORCE: (&str, Takes) = ("Force", Nothing);
const UNASKED: (&str, Takes) = ("Confirm", OneOf(&["$false"]));
/// What changes nothing of the node is done when a person only wants to see, too.
const ALWAYS: (&str, Takes) = ("WhatIf", OneOf(&["$false"]));

pub const COMMANDS: &[Command] = &[
    command(
        "Add-HgsKeyProtectionCertificate",
        &[TYPE, THUMBPRINT, ("NoCertificateReplication", Nothing), FORCE, UNASKED, STOP],
        0,
        &[
            "CertificateType",
            "Thumbprint",
            "NoCertificateReplication",
            "Force",
            "Confirm",
            "ErrorAction",
        ],
    ),
    command(
        "Set-HgsKeyProtectionCertificate",
        &[TYPE, THUMBPRINT, ("IsPrimary", Nothing), FORCE, UNASKED, STOP],
        0,
        &["CertificateType", "Thumbprint", "IsPrimary", "Force", "Confirm", "ErrorAction"],
    ),
    command(
        "Get-HgsKeyProtectionCertificate",
        &[TYPE, ("IsEnabled", Value), ("IsPrimary", OneOf(&["$true", "$false"])), STOP],
        0,
        &["CertificateType", "ErrorAction"],
    ),
    command(
        "Get-HgsTrace",
        &[
            ("RunDiagnostics", Nothing),
            ("Detailed", Nothing),
            ("ErrorAction", OneOf(&["Continue"])),
        ],
        0,
        &["RunDiagnostics", "Detailed", "ErrorAction"],
    ),
    command("Reset-IISServerManager", &[UNASKED, ALWAYS, QUIET], 0, &["Confirm"]),
    command(
        "Get-IISAppPool",
        &[
            ("Name", OneOf(&["KeyProtection"])),
            QUIET,
            ("WarningAction", OneOf(&["SilentlyContinue"])),
        ],
        0,
        &["Name"],
    ),
    // Programs of Windows.
    command(
        "certutil",
        &[
            ("addstore", Nothing),
            ("csplist", Nothing),
            ("f", Nothing),
            ("csp", Value),
            ("repairstore", Nothing),
        ],
        2,
        &[],
    ),
    command("icacls", &[], 6, &[]),
    command("secedit", &[], 6, &[]),
    command("whoami", &[], 1, &[]),
    // The rest of Windows PowerShell 5.1.
    command(
        "Add-Member",
        &[("MemberType", OneOf(&["NoteProperty"])), ("Name", Value), ("Value", Value)],
        0,
        &["MemberType", "Name", "Value"],
    ),
    command("ConvertFrom-Json", &[], 0, &[]),
    command(
        "ConvertTo-Json",
        &[("InputObject", Value), ("Depth", Value), ("Compress", Nothing)],
        0,
        &["InputObject", "Depth", "Compress"],
    ),
    command(
        "Copy-Item",
        &[("LiteralPath", Value), ("Destination", Value), UNASKED],
        0,
        &["LiteralPath", "Destination", "Confirm"],
    ),
    command("ForEach-Object", &[("Process", Value)], 0, &["Process"]),
    command("Get-ChildItem", &[("Path", Value), ("LiteralPath", Value), ("File", Nothing)], 0, &[]),
    command(
        "Get-CimInstance",
        &[("ClassName", OneOf(&["Win32_Service", "Win32_Process"])), ("Filter", Value), STOP],
        0,
        &["ClassName", "Filter", "ErrorAction"],
    ),
    command("Get-Command", &[("Name", Value), QUIET], 0, &["Name"]),
    command(
        "Get-FileHash",
        &[("LiteralPath", Value), ("Algorithm", OneOf(&["SHA256"]))],
        0,
        &["LiteralPath", "Algorithm"],
    ),
    command("Get-Process", &[("Id", Value), STOP], 0, &["Id"]),
    command("Get-ScheduledTaskInfo", &[("TaskName", Value), STOP], 0, &["TaskName", "ErrorAction"]),
    command("Group-Object", &[("Property", Value)], 0, &["Property"]),
    command("Join-Path", &[("Path", Value), ("ChildPath", Value)], 0, &["Path", "ChildPath"]),
    command(
        "New-Item",
        &[("ItemType", OneOf(&["Directory"])), ("Path", Value), UNASKED],
        0,
        &["ItemType", "Path", "Confirm"],
    ),
    command(
        "New-Object",
        &[("TypeName", OneOf(TYPES)), ("ArgumentList", Value), ("Property", Value)],
        0,
        &["TypeName"],
    ),
    command(
        "New-ScheduledTaskAction",
        &[("Execute", Value), ("Argument", Value), ("WorkingDirectory", Value), STOP],
        0,
        &["Execute", "ErrorAction"],
    ),
    command(
        "New-ScheduledTaskPrincipal",
        &[("UserId", Value), ("LogonType", OneOf(&["Password"])), STOP],
        0,
        &["UserId", "LogonType", "ErrorAction"],
    ),
    command(
        "New-ScheduledTaskSettingsSet",
        &[("ExecutionTimeLimit", Value), STOP],
        0,
        &["ErrorAction"],
    ),
    command("New-TimeSpan", &[("Minutes", Value)], 0, &[]),
    command("Out-Host", &[], 0, &[]),
    command("Out-Null", &[], 0, &[]),
    command("Out-String", &[("Width", Value)], 0, &[]),
    command("Read-Host", &[("Prompt", Value)], 0, &["Prompt"]),
    command(
        "Register-ScheduledTask",
        &[("TaskName", Value), ("Action", Value), ("Principal", Value), ("Settings", Value), STOP],
        0,
        &["TaskName", "Action", "Principal", "ErrorAction"],
    ),
    command(
        "Remove-Item",
        &[
            ("Path", Value),
            ("LiteralPath", Value),
            ("Recurse", Nothing),
            ("Force", Nothing),
            UNASKED,
            ALWAYS,
            STOP,
        ],
        0,
        &["Confirm"],
    ),
    command("Set-StrictMode", &[("Version", OneOf(&["2.0"]))], 0, &["Version"]),
    command("Sort-Object", &[("Property", Value), ("Unique", Nothing)], 0, &[]),
    command("Start-ScheduledTask", &[("TaskName", Value), STOP], 0, &["TaskName", "ErrorAction"]),
    command("Stop-ScheduledTask", &[("TaskName", Value), STOP], 0, &["TaskName", "ErrorAction"]),
    command("Start-Sleep", &[("Seconds", Value)], 0, &["Seconds"]),
    command(
        "Test-Path",
        &[("LiteralPath", Value), ("PathType", OneOf(&["Leaf"]))],
        0,
        &["LiteralPath"],
    ),
    command(
        "Unregister-ScheduledTask",
        &[("TaskName", Value), UNASKED, STOP],
        0,
        &["TaskName", "Confirm", "ErrorAction"],
    ),
    command("Where-Object", &[("FilterScript", Value)], 0, &["FilterScript"]),
    command("Write-Host", &[], 1, &[]),
];

/// What is made by New-Object: all of it is in .NET Framework 4.6.2, which Windows Server 2016 has.
const TYPES: &[&str] = &[
    "'byte[]'",
    "PSObject",
    "System.DateTime",
    "System.IO.MemoryStream",
    "System.Net.WebClient",
    "System.Security.AccessControl.CommonSecurityDescriptor",
    "System.Security.AccessControl.RawSecurityDescriptor",
    "System.Security.Cryptography.CngProperty",
    "System.Security.Cryptography.SHA256CryptoServiceProvider",
    "System.Security.Principal.NTAccount",
    "System.Text.UTF8Encoding",
    "System.Xml.XmlDocument",
];

/// Static members, all of .NET Framework 4.6 and later.
pub const MEMBERS: &[&str] = &[
    "System.BitConverter::GetBytes",
    "System.BitConverter::ToString",
    "System.Convert::FromBase64String",
    "System.Convert::ToBase64String",
    "System.Convert::ToByte",
    "System.DateTime::UtcNow",
    "System.DateTimeKind::Utc",
    "System.Enum::ToObject",
    "System.Environment::Is64BitProcess",
    "System.Globalization.CultureInfo::InvariantCulture",
    "System.Guid::NewGuid",
    "System.IO.File::Copy",
    "System.IO.File::Open",
    "System.IO.File::ReadAllLines",
    "System.IO.File::ReadAllText",
    "System.IO.FileMode::CreateNew",
    "System.Net.IPAddress::HostToNetworkOrder",
    "System.Security.AccessControl.AccessControlType::Allow",
    "System.Security.AccessControl.AceType::AccessAllowed",
    "System.Security.AccessControl.InheritanceFlags::None",
    "System.Security.AccessControl.PropagationFlags::None",
    "System.Security.Cryptography.HashAlgorithmName::SHA256",
    "System.Security.Cryptography.RSAEncryptionPadding::OaepSHA1",
    "System.Security.Cryptography.RSAEncryptionPadding::OaepSHA256",
    "System.Security.Cryptography.RSASignaturePadding::Pkcs1",
    "System.Security.Cryptography.X509Certificates.RSACertificateExtensions::GetRSAPrivateKey",
    "System.Security.Cryptography.X509Certificates.RSACertificateExtensions::GetRSAPublicKey",
    "System.Security.Principal.WindowsIdentity::GetCurrent",
    "System.Text.Encoding::ASCII",
    "System.Text.Encoding::UTF8",
    "int::MinValue",
];
