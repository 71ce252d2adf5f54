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

/// Without -Force, which would hush a question that a person should be asked.
pub const COMMANDS: &[Command] = &[
    command(
        "Add-HgsKeyProtectionCertificate",
        &[TYPE, THUMBPRINT, ("NoCertificateReplication", Nothing)],
        0,
        &["CertificateType", "Thumbprint", "NoCertificateReplication"],
    ),
    command(
        "Set-HgsKeyProtectionCertificate",
        &[TYPE, THUMBPRINT, ("IsPrimary", Nothing)],
        0,
        &["CertificateType", "Thumbprint", "IsPrimary"],
    ),
    command(
        "Get-HgsKeyProtectionCertificate",
        &[TYPE, ("IsEnabled", Value), ("IsPrimary", OneOf(&["$true", "$false"]))],
        0,
        &["CertificateType"],
    ),
    command(
        "Get-HgsTrace",
        &[("RunDiagnostics", Nothing), ("Detailed", Nothing)],
        0,
        &["RunDiagnostics", "Detailed"],
    ),
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
        &[("addstore", Nothing), ("f", Nothing), ("csp", Value), ("repairstore", Nothing)],
        2,
        &[],
    ),
    command("icacls", &[], 6, &[]),
    command("whoami", &[], 0, &[]),
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
        &[("LiteralPath", Value), ("Destination", Value)],
        0,
        &["LiteralPath", "Destination"],
    ),
    command("ForEach-Object", &[("Process", Value)], 0, &["Process"]),
    command("Get-ChildItem", &[("Path", Value), ("LiteralPath", Value), ("File", Nothing)], 0, &[]),
    command(
        "Get-CimInstance",
        &[("ClassName", OneOf(&["Win32_Service"])), ("Filter", Value)],
        0,
        &["ClassName", "Filter"],
    ),
    command("Get-Command", &[("Name", Value), QUIET], 0, &["Name"]),
    command(
        "Get-FileHash",
        &[("LiteralPath", Value), ("Algorithm", OneOf(&["SHA256"]))],
        0,
        &["LiteralPath", "Algorithm"],
    ),
    command("Get-Process", &[("Id", Value)], 0, &["Id"]),
    command("Get-ScheduledTaskInfo", &[("TaskName", Value)], 0, &["TaskName"]),
    command("Group-Object", &[("Property", Value)], 0, &["Property"]),
    command("Join-Path", &[("Path", Value), ("ChildPath", Value)], 0, &["Path", "ChildPath"]),
    command(
        "New-Item",
        &[("ItemType", OneOf(&["Directory"])), ("Path", Value)],
        0,
        &["ItemType", "Path"],
    ),
    command(
        "New-Object",
        &[("TypeName", Value), ("ArgumentList", Value), ("Property", Value)],
        0,
        &["TypeName"],
    ),
    command(
        "New-ScheduledTaskAction",
        &[("Execute", Value), ("Argument", Value), ("WorkingDirectory", Value)],
        0,
        &["Execute"],
    ),
    command(
        "New-ScheduledTaskPrincipal",
        &[("UserId", Value), ("LogonType", OneOf(&["Password"]))],
        0,
        &["UserId", "LogonType"],
    ),
    command("New-ScheduledTaskSettingsSet", &[("ExecutionTimeLimit", Value)], 0, &[]),
    command("New-TimeSpan", &[("Minutes", Value)], 0, &[]),
    command("Out-Host", &[], 0, &[]),
    command("Out-Null", &[], 0, &[]),
    command("Out-String", &[("Width", Value)], 0, &[]),
    command("Read-Host", &[("Prompt", Value)], 0, &["Prompt"]),
    command(
        "Register-ScheduledTask",
        &[("TaskName", Value), ("Action", Value), ("Principal", Value), ("Settings", Value)],
        0,
        &["TaskName", "Action", "Principal"],
    ),
    command(
        "Remove-Item",
        &[("Path", Value), ("LiteralPath", Value), ("Recurse", Nothing), ("Force", Nothing)],
        0,
        &[],
    ),
    command("Set-StrictMode", &[("Version", OneOf(&["2.0"]))], 0, &["Version"]),
    command("Sort-Object", &[("Property", Value), ("Unique", Nothing)], 0, &[]),
    command("Start-ScheduledTask", &[("TaskName", Value)], 0, &["TaskName"]),
    command("Start-Sleep", &[("Seconds", Value)], 0, &["Seconds"]),
    command(
        "Test-Path",
        &[("LiteralPath", Value), ("PathType", OneOf(&["Leaf"]))],
        0,
        &["LiteralPath"],
    ),
    command(
        "Unregister-ScheduledTask",
        &[("TaskName", Value), ("Confirm", OneOf(&["$false"]))],
        0,
        &["TaskName", "Confirm"],
    ),
    command("Where-Object", &[("FilterScript", Value)], 0, &["FilterScript"]),
    command("Write-Host", &[], 1, &[]),
];

/// The stub also says what only a stand-in has to.
pub const STUB_COMMANDS: &[Command] = &[
    command("Export-ModuleMember", &[("Function", Value)], 0, &["Function"]),
    command(
        "Update-TypeData",
        &[
            ("TypeName", Value),
            ("MemberType", OneOf(&["ScriptProperty"])),
            ("MemberName", Value),
            ("Value", Value),
            ("Force", Nothing),
        ],
        0,
        &["TypeName"],
    ),
    command(
        "Microsoft.PowerShell.Management\\Get-ChildItem",
        &[("LiteralPath", Value), ("File", Nothing)],
        0,
        &[],
    ),
    command(
        "Microsoft.PowerShell.Management\\Remove-Item",
        &[("LiteralPath", Value), ("Recurse", Nothing), ("Force", Nothing)],
        0,
        &[],
    ),
    command(
        "pwsh",
        &[("NoProfile", Nothing), ("NonInteractive", Nothing), ("Command", Value)],
        0,
        &[],
    ),
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
    "System.Security.Cryptography.SHA256::Create",
    "System.Security.Cryptography.X509Certificates.RSACertificateExtensions::GetRSAPrivateKey",
    "System.Security.Cryptography.X509Certificates.RSACertificateExtensions::GetRSAPublicKey",
    "System.Security.Principal.WindowsIdentity::GetCurrent",
    "System.Text.Encoding::ASCII",
    "System.Text.Encoding::UTF8",
    "int::MinValue",
];

/// What only the stub uses.
pub const STUB_MEMBERS: &[&str] = &[
    "System.IO.File::AppendAllText",
    "System.IO.File::WriteAllText",
    "System.Security.Cryptography.RSA::Create",
    "System.Security.Cryptography.X509Certificates.RSACertificateExtensions::CopyWithPrivateKey",
];
