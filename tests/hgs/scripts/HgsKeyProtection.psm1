# A stand-in for what only a node of a Host Guardian Service has, so that anyone with pwsh can run the scripts. The cmdlets have
# Microsoft's parameters. State is the JSON file that KEYFERRY_STUB names; calls are recorded beside it, in <file>.calls.
# KEYFERRY_STUB_KEYS is a folder with <THUMBPRINT>.crt (DER) and <THUMBPRINT>.pem (the private key).
Set-StrictMode -Version 2.0
$script:Task = $null
$script:Result = 267011
$script:Account = 'CONTOSO\hgs-gmsa$'

function Read-State {
    return ([System.IO.File]::ReadAllText($env:KEYFERRY_STUB) | ConvertFrom-Json)
}

function Write-State($State) {
    [System.IO.File]::WriteAllText($env:KEYFERRY_STUB, (ConvertTo-Json -InputObject $State -Depth 10 -Compress))
}

function Add-Call([string]$Call) {
    [System.IO.File]::AppendAllText($env:KEYFERRY_STUB + '.calls', $Call + "`n")
}

# ---- HgsKeyProtection, HgsDiagnostics ----

function Add-HgsKeyProtectionCertificate {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)] [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [Parameter(Mandatory = $true)] [string]$Thumbprint,
        [switch]$NoCertificateReplication,
        [switch]$Force
    )
    Add-Call ('Add ' + $CertificateType + ' ' + $Thumbprint)
    $state = Read-State
    $state.known = [object[]]@(@($state.known) + [ordered]@{ type = $CertificateType; thumbprint = $Thumbprint; primary = $false })
    Write-State $state
}

function Set-HgsKeyProtectionCertificate {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param(
        [Parameter(Mandatory = $true)] [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [Parameter(Mandatory = $true)] [string]$Thumbprint,
        [bool]$IsEnabled,
        [switch]$IsPrimary,
        [switch]$Force
    )
    Add-Call ('Set ' + $CertificateType + ' ' + $Thumbprint)
    $state = Read-State
    if ($state.fail -eq $CertificateType) {
        throw 'the stub was told to fail here'
    }
    foreach ($entry in @($state.known)) {
        if ($entry.type -eq $CertificateType) {
            $entry.primary = $entry.thumbprint -eq $Thumbprint
        }
    }
    Write-State $state
}

function Get-HgsKeyProtectionCertificate {
    [CmdletBinding()]
    param(
        [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [bool]$IsEnabled,
        [bool]$IsPrimary,
        [string]$Thumbprint
    )
    foreach ($entry in @((Read-State).known)) {
        if ($CertificateType -ne '' -and $entry.type -ne $CertificateType) {
            continue
        }
        if ($PSBoundParameters.ContainsKey('IsPrimary') -and $entry.primary -ne $IsPrimary) {
            continue
        }
        if ($Thumbprint -ne '' -and $entry.thumbprint -ne $Thumbprint) {
            continue
        }
        New-Object -TypeName PSObject -Property @{ Thumbprint = $entry.thumbprint }
    }
}

function Remove-HgsKeyProtectionCertificate {
    throw 'Keyferry never removes a certificate from HGS'
}

function Get-HgsTrace {
    [CmdletBinding()]
    param([switch]$RunDiagnostics, [object[]]$Target, [string]$Path, [switch]$WriteManifest, [switch]$Detailed, [switch]$Compact, [string[]]$Diagnostic)
    Add-Call 'Get-HgsTrace'
    return ('Overall Result: ' + (Read-State).diagnostics)
}

# ---- the rest of Windows ----

function Get-IISAppPool {
    [CmdletBinding()]
    param([string[]]$Name)
    $model = New-Object -TypeName PSObject -Property @{ UserName = $script:Account }
    return (New-Object -TypeName PSObject -Property @{ ProcessModel = $model })
}

function whoami {
    return $script:Account.ToLowerInvariant()
}

function icacls {
    $global:LASTEXITCODE = 0
}

function certutil {
    $line = $args -join ' '
    Add-Call ('certutil ' + $line)
    $state = Read-State
    if ($line -match '-addstore') {
        $thumbprint = (New-Object -TypeName System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList $args[2]).Thumbprint
        $state.store = [object[]]@(@($state.store) + $thumbprint)
    } else {
        $state.bound = [object[]]@(@($state.bound) + $args[$args.Count - 1])
    }
    Write-State $state
    $global:LASTEXITCODE = 0
}

function Get-ChildItem {
    param([string]$Path, [string]$LiteralPath, [switch]$File)
    if ($Path -notlike 'Cert:*') {
        return Microsoft.PowerShell.Management\Get-ChildItem -LiteralPath $LiteralPath -File
    }
    if ($Path -notlike '*LocalMachine*') {
        return
    }
    $state = Read-State
    foreach ($thumbprint in @($state.store)) {
        $file = Join-Path -Path $env:KEYFERRY_STUB_KEYS -ChildPath $thumbprint
        $certificate = New-Object -TypeName System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList ($file + '.crt')
        if (@($state.bound) -contains $thumbprint) {
            $key = [System.Security.Cryptography.RSA]::Create()
            $key.ImportFromPem([System.IO.File]::ReadAllText($file + '.pem'))
            $certificate = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::CopyWithPrivateKey($certificate, $key)
        }
        $certificate
    }
}

function Remove-Item {
    param([string]$Path, [string]$LiteralPath, [switch]$Recurse, [switch]$Force)
    if ($Path -notlike 'Cert:*') {
        Microsoft.PowerShell.Management\Remove-Item -LiteralPath $LiteralPath -Recurse -Force
        return
    }
    Add-Call ('Remove-Item ' + $Path)
    $state = Read-State
    $state.store = [object[]]@(@($state.store) | Where-Object -FilterScript { $Path -notlike ('*' + $_) })
    Write-State $state
}

function Get-CimInstance {
    param([string]$ClassName, [string]$Filter)
    return (New-Object -TypeName PSObject -Property @{ ProcessId = $PID })
}

# Nobody is asked: what would wait for a person ends.
function Read-Host {
    param([string]$Prompt)
    return 'end'
}

function New-ScheduledTaskAction {
    param([string]$Execute, [string]$Argument, [string]$WorkingDirectory)
    return $Argument
}

function New-ScheduledTaskPrincipal {
    param([string]$UserId, [string]$LogonType)
    return $UserId
}

function New-ScheduledTaskSettingsSet {
    param([timespan]$ExecutionTimeLimit)
    return $ExecutionTimeLimit
}

function Register-ScheduledTask {
    param([string]$TaskName, $Action, $Principal, $Settings)
    $script:Task = $Action
}

# Runs the script in a process of its own, as the task would.
function Start-ScheduledTask {
    param([string]$TaskName)
    if ($script:Task -notmatch '-File "([^"]+)" (.*) > "([^"]+)" 2>&1') {
        throw ('not the expected task: ' + $script:Task)
    }
    $output = $Matches[3]
    $module = Join-Path -Path $PSScriptRoot -ChildPath 'HgsKeyProtection.psm1'
    $line = 'Import-Module "' + $module + '"; & "' + $Matches[1] + '" ' + $Matches[2] + '; exit $LASTEXITCODE'
    $text = pwsh -NoProfile -NonInteractive -Command $line | Out-String
    $script:Result = $LASTEXITCODE
    [System.IO.File]::WriteAllText($output, $text)
}

function Get-ScheduledTaskInfo {
    param([string]$TaskName)
    return (New-Object -TypeName PSObject -Property @{ LastTaskResult = $script:Result })
}

function Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([string]$TaskName)
    $script:Task = $null
}

# A software key says of itself what a CNG key would; it keeps no security descriptor.
Update-TypeData -TypeName System.Security.Cryptography.RSA -MemberType ScriptProperty -MemberName Key -Force -Value {
    $provider = New-Object -TypeName PSObject -Property @{ Provider = $env:KEYFERRY_STUB_KSP }
    New-Object -TypeName PSObject -Property @{ Provider = $provider; KeyName = 'stub' }
}

Export-ModuleMember -Function '*-Hgs*', '*-ScheduledTask*', 'Get-IISAppPool', 'whoami', 'icacls', 'certutil', 'Get-ChildItem', 'Remove-Item', 'Get-CimInstance', 'Read-Host'
