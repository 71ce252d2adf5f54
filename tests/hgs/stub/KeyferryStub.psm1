# Windows and the Host Guardian Service as far as the scripts in templates/hgs meet them, for PowerShell 7 on Linux. Everything is
# one JSON file, which KEYFERRY_STUB names; KEYFERRY_STUB_NODE says which node this is. Certificates and private keys lie in
# <file>.keys/<THUMBPRINT>.crt and .pem; what was called is recorded in <file>.calls. Time goes by in Start-Sleep alone.
# What misbehaves is in the field traps of the file: `Get-Trap` names each.
Set-StrictMode -Version 2.0

function Read-State {
    return ([System.IO.File]::ReadAllText($env:KEYFERRY_STUB) | ConvertFrom-Json)
}

function Write-State($State) {
    [System.IO.File]::WriteAllText($env:KEYFERRY_STUB, (ConvertTo-Json -InputObject $State -Depth 20 -Compress))
}

function Add-Call([string]$Call) {
    [System.IO.File]::AppendAllText($env:KEYFERRY_STUB + '.calls', $Call + "`n")
}

# What a trap is set to, or nothing.
function Get-Trap($State, [string]$Name) {
    $property = $State.traps.PSObject.Properties[$Name]
    if ($null -eq $property) {
        return $null
    }
    return $property.Value
}

function Set-Trap($State, [string]$Name, $Value) {
    $State.traps | Add-Member -MemberType NoteProperty -Name $Name -Value $Value -Force
}

function Get-Node($State) {
    return $State.nodes.($env:KEYFERRY_STUB_NODE)
}

# Who runs this: the service's account in a task, else an administrator.
function Get-Own($State) {
    if ($null -ne $env:KEYFERRY_STUB_ACCOUNT) {
        return $env:KEYFERRY_STUB_ACCOUNT
    }
    return 'CONTOSO\admin'
}

function Get-KeyFile([string]$Thumbprint, [string]$Kind) {
    return ($env:KEYFERRY_STUB + '.keys/' + $Thumbprint + '.' + $Kind)
}

# ---- HgsKeyProtection: Microsoft's parameters; how much a change matters to PowerShell is a trap ----

# Every cmdlet of the Key Protection Service: it answers, or it answers 500. `down_after`: so many changes, then 500 for so many reads.
function Assert-Answers($State) {
    if (-not $State.service) {
        throw 'The Host Guardian Service is not initialized on this server.'
    }
    $down = Get-Trap $State 'down'
    if ($null -ne $down -and $down.after -le $State.changes -and $down.reads -gt 0) {
        $down.reads = $down.reads - 1
        Write-State $State
        throw 'The remote server returned an error: (500) Internal Server Error.'
    }
}

# What this node reads: what was before the last change, for as many reads as `lag` says, and on a node of `late` for so many more.
function Get-Seen($State) {
    $late = Get-Trap $State 'late'
    if ($null -ne $late -and $late.node -ceq $env:KEYFERRY_STUB_NODE -and $late.reads -gt 0) {
        $late.reads = $late.reads - 1
        Write-State $State
        return ,@($late.known)
    }
    if ($State.stale -gt 0) {
        $State.stale = $State.stale - 1
        Write-State $State
        return ,@($State.before)
    }
    return ,@($State.known)
}

# Takes a change: the lag begins anew.
function Set-Known($State, [object[]]$Known) {
    $State.before = [object[]]@($State.known)
    $State.known = [object[]]$Known
    $State.changes = $State.changes + 1
    $lag = Get-Trap $State 'lag'
    $State.stale = 0
    if ($null -ne $lag) {
        $State.stale = $lag
    }
    Write-State $State
}

function Invoke-Add([string]$Type, [string]$Thumbprint) {
    Add-Call ('Add ' + $Type + ' ' + $Thumbprint)
    $state = Read-State
    Assert-Answers $state
    $refuses = Get-Trap $state 'add_refuses'
    if ($refuses -ceq $Type) {
        throw 'the stub was told to refuse this'
    }
    $there = @($state.known | Where-Object -FilterScript { $_.type -ceq $Type -and $_.thumbprint -ceq $Thumbprint }).Count -ne 0
    $other = (Get-Trap $state 'added_by_another') -ceq $Type
    if (-not $there) {
        Set-Known $state (@($state.known) + [pscustomobject]@{ type = $Type; thumbprint = $Thumbprint; primary = $false })
    }
    if ($there -or $other) {
        throw 'A certificate with this thumbprint already exists in the Key Protection Service.'
    }
}

function Invoke-Set([string]$Type, [string]$Thumbprint) {
    Add-Call ('Set ' + $Type + ' ' + $Thumbprint)
    $state = Read-State
    Assert-Answers $state
    # Nothing happens, or it `takes` effect and throws all the same; `from` so many changes on.
    $trap = Get-Trap $state ('set_' + $Type.ToLowerInvariant())
    if ($null -ne $trap -and $null -ne $trap.PSObject.Properties['from'] -and $state.changes -lt $trap.from) {
        $trap = $null
    }
    if ($null -ne $trap -and $trap.takes -eq $false) {
        throw 'the stub was told to fail here'
    }
    $known = @()
    foreach ($entry in @($state.known)) {
        $primary = $entry.primary
        if ($entry.type -ceq $Type) {
            $primary = $entry.thumbprint -ceq $Thumbprint
        }
        $known += [pscustomobject]@{ type = $entry.type; thumbprint = $entry.thumbprint; primary = $primary }
    }
    Set-Known $state $known
    if ($null -ne $trap) {
        throw 'the stub was told to fail after it had done it'
    }
}

$impact = 'Medium'
if ($null -ne $env:KEYFERRY_STUB) {
    $asked = Get-Trap (Read-State) 'impact'
    if ($null -ne $asked) {
        $impact = $asked
    }
}
. ([scriptblock]::Create((@'
function Add-HgsKeyProtectionCertificate {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = '@')]
    param(
        [Parameter(Mandatory = $true)] [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [Parameter(Mandatory = $true)] [string]$Thumbprint,
        [switch]$NoCertificateReplication,
        [switch]$Force
    )
    if ($PSCmdlet.ShouldProcess($Thumbprint)) {
        Invoke-Add $CertificateType $Thumbprint
    }
}

function Set-HgsKeyProtectionCertificate {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = '@')]
    param(
        [Parameter(Mandatory = $true)] [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [Parameter(Mandatory = $true)] [string]$Thumbprint,
        [bool]$IsEnabled,
        [switch]$IsPrimary,
        [switch]$Force
    )
    if ($PSCmdlet.ShouldProcess($Thumbprint)) {
        Invoke-Set $CertificateType $Thumbprint
    }
}
'@).Replace('@', $impact)))

function Get-HgsKeyProtectionCertificate {
    [CmdletBinding(DefaultParameterSetName = 'Filter')]
    param(
        [Parameter(ParameterSetName = 'Filter')] [Parameter(Mandatory = $true, ParameterSetName = 'Thumbprint')]
        [ValidateSet('Signing', 'Encryption')] [string]$CertificateType,
        [Parameter(ParameterSetName = 'Filter')] [bool]$IsEnabled,
        [Parameter(ParameterSetName = 'Filter')] [bool]$IsPrimary,
        [Parameter(Mandatory = $true, ParameterSetName = 'Thumbprint')] [string]$Thumbprint
    )
    $state = Read-State
    Assert-Answers $state
    foreach ($entry in (Get-Seen $state)) {
        $typed = $CertificateType -eq '' -or $entry.type -ceq $CertificateType
        $primary = -not $PSBoundParameters.ContainsKey('IsPrimary') -or $entry.primary -eq $IsPrimary
        if ($typed -and $primary -and ($Thumbprint -eq '' -or $entry.thumbprint -eq $Thumbprint)) {
            [pscustomobject]@{ Thumbprint = $entry.thumbprint }
        }
    }
}

function Remove-HgsKeyProtectionCertificate {
    throw 'Keyferry never removes a certificate from HGS'
}

# ---- a new cluster: Microsoft's parameter sets, and what each cmdlet wants to be there before ----

function Install-WindowsFeature {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory = $true, Position = 0)] [string[]]$Name, [switch]$IncludeManagementTools, [switch]$Restart)
    $state = Read-State
    (Get-Node $state).role = $Name -contains 'HostGuardianServiceRole' -and $Restart
    Write-State $state
}

# Makes a server a domain controller of a forest of its own; without its restart it is none.
function Install-HgsServer {
    [CmdletBinding(SupportsShouldProcess = $true, DefaultParameterSetName = 'First')]
    param(
        [Parameter(Mandatory = $true, Position = 0)] [string]$HgsDomainName,
        [Parameter(Mandatory = $true, Position = 1, ParameterSetName = 'Additional')] [pscredential]$HgsDomainCredential,
        [Parameter(Mandatory = $true)] [securestring]$SafeModeAdministratorPassword,
        [switch]$Restart, [string]$LogDirectory, [string]$DatabasePath
    )
    Add-Call ('Install-HgsServer ' + $PSCmdlet.ParameterSetName)
    $state = Read-State
    $node = Get-Node $state
    if (-not $node.role -or $node.form -ne '') {
        throw 'This server lacks the role, or is in a domain already.'
    }
    if (($PSCmdlet.ParameterSetName -ceq 'First') -ne ($state.forest -eq '')) {
        throw ('The domain ' + $HgsDomainName + ' is there already, or is not.')
    }
    $state.forest = $HgsDomainName
    if ($Restart) {
        $node.form = 'forest'
    }
    Write-State $state
}

# Only in a domain that was there before.
function Install-ADServiceAccount {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Mandatory = $true, Position = 0)] [string]$Identity, [switch]$Force)
    Add-Call ('Install-ADServiceAccount ' + $Identity)
    $state = Read-State
    $node = Get-Node $state
    if (-not $state.existing -or -not $node.role) {
        throw 'Unable to find a default server with Active Directory Web Services running.'
    }
    $node.form = 'domain'
    Write-State $state
}

function Initialize-HgsServer {
    [CmdletBinding(SupportsShouldProcess = $true, DefaultParameterSetName = 'forest')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'forest')] [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'domain')] [string]$HgsServiceName,
        [Parameter(ParameterSetName = 'forest')] [switch]$UseHgsDomain,
        [Parameter(Mandatory = $true, ParameterSetName = 'domain')] [switch]$UseExistingDomain,
        [Parameter(Mandatory = $true, ParameterSetName = 'domain')] [string]$ServiceAccount,
        [Parameter(Mandatory = $true, ParameterSetName = 'domain')] [string]$JeaReviewersGroup,
        [Parameter(Mandatory = $true, ParameterSetName = 'domain')] [string]$JeaAdministratorsGroup,
        [Parameter(ParameterSetName = 'domain')] [string]$ClusterName,
        [Parameter(ParameterSetName = 'forest')] [Parameter(ParameterSetName = 'domain')] [string]$SigningCertificateThumbprint,
        [Parameter(ParameterSetName = 'forest')] [Parameter(ParameterSetName = 'domain')] [string]$EncryptionCertificateThumbprint,
        [Parameter(ParameterSetName = 'forest')] [Parameter(ParameterSetName = 'domain')] [switch]$TrustTpm,
        [Parameter(ParameterSetName = 'forest')] [Parameter(ParameterSetName = 'domain')] [switch]$TrustHostKey,
        [Parameter(ParameterSetName = 'forest')] [Parameter(ParameterSetName = 'domain')] [switch]$TrustActiveDirectory,
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'further')] [string]$HgsServerIPAddress,
        [switch]$Http, [switch]$Https, [switch]$Force
    )
    $form = $PSCmdlet.ParameterSetName
    Add-Call ('Initialize-HgsServer ' + $form)
    $state = Read-State
    $node = Get-Node $state
    if ($form -ceq 'further') {
        if (-not $state.service -or $node.form -eq '' -or $node.member) {
            throw 'There is no cluster to join, or this server is not ready for one.'
        }
        $node.member = $true
        Write-State $state
        return
    }
    if ($node.form -cne $form -or $state.service) {
        throw 'This server is not of this form: it was not promoted, lacks the service account, or is initialized already.'
    }
    foreach ($thumbprint in @($SigningCertificateThumbprint, $EncryptionCertificateThumbprint)) {
        if (@($node.store) -cnotcontains $thumbprint -or @($node.bound) -cnotcontains $thumbprint) {
            throw ('No certificate with a private key in LocalMachine: ' + $thumbprint)
        }
    }
    $state.account = 'FABRIKAM\' + $ServiceAccount + '$'
    if ($form -ceq 'forest') {
        $state.account = $state.forest.Split('.')[0].ToUpperInvariant() + '\HGSSVC$'
    }
    $state.service = $true
    $node.member = $true
    $signing = [pscustomobject]@{ type = 'Signing'; thumbprint = $SigningCertificateThumbprint; primary = $true }
    $encryption = [pscustomobject]@{ type = 'Encryption'; thumbprint = $EncryptionCertificateThumbprint; primary = $true }
    $state.known = [object[]]@($signing, $encryption)
    Write-State $state
}

# What a person types: a line with its placeholders, with names of their own.
function Invoke-Line([string]$Line) {
    $names = @{
        'domain' = 'hgs.example'; 'name' = 'hgs'; 'group' = 'people'; 'gMSA' = 'hgs-gmsa'; 'name of the gMSA' = 'hgs-gmsa'; 'address of the first node' = '192.0.2.1'
        'password' = '(ConvertTo-SecureString -String x -AsPlainText -Force)'
        'credential' = '([pscredential]::new("x", (ConvertTo-SecureString -String x -AsPlainText -Force)))'
    }
    Invoke-Expression ([regex]::Replace($Line, '<([^>]+)>', { param($found) $names[$found.Groups[1].Value] }))
}

# A line of INSTRUCTIONS.txt: the one that stands behind these words.
function Invoke-Told([string]$Words) {
    $text = [System.IO.File]::ReadAllText((Join-Path $PSScriptRoot '../../../templates/hgs/INSTRUCTIONS.txt'))
    if ($text -cnotmatch ([regex]::Escape($Words) + '\s+> +(\S[^\n]*)')) {
        throw ('INSTRUCTIONS.txt has no line behind ' + $Words)
    }
    Invoke-Line $Matches[1]
}

# ---- HgsDiagnostics: results grouped by target and category, each group with an aggregate; or whatever `diagnostics` says ----

function Get-Group([string]$Name, [string]$Aggregate, [object[]]$Results) {
    return [pscustomobject]@{ Name = $Name; AggregateResult = $Aggregate; Results = $Results }
}

function Get-HgsTrace {
    [CmdletBinding()]
    param(
        [switch]$RunDiagnostics, [object[]]$Target, [Parameter(Position = 0)] [string]$Path,
        [switch]$WriteManifest, [switch]$Detailed, [switch]$Compact, [string[]]$Diagnostic
    )
    Add-Call 'Get-HgsTrace'
    $state = Read-State
    $kind = '' + (Get-Trap $state 'diagnostics')
    $result = 'Pass'
    switch ($kind) {
        'text' { Write-Host 'Overall Result: Pass'; return }
        'german' { 'Gesamtergebnis: Fehler'; return }
        'nothing' { return }
        'throws' { throw 'the collector gave up' }
        'error' { Write-Error 'a collector could not connect' }
        'warns' { Write-Warning 'a collector was skipped' }
        'failed' { $result = 'Failed' }
        'warning' { $result = 'Warning' }
        'unattested' { $result = 'Fail' }
    }
    $check = [pscustomobject]@{ Name = 'KpsCertificateAccess'; Result = $result; Message = 'gMSA reads the signing certificate' }
    if ($result -ceq 'Failed') {
        $check.Message = 'GMSA cannot read the signing certificate'
    }
    if ($kind -ceq 'unattested') {
        $check.Name = 'HostAttestation'
        $check.Message = 'no host attests yet'
    }
    Write-Host ('Overall Result: ' + $result)
    $clean = [pscustomobject]@{ Name = 'HttpsBinding'; Result = 'Pass'; Message = '' }
    $groups = @((Get-Group 'Https' 'Pass' @($clean)), (Get-Group 'Key Protection' $result @($check)))
    $node = Get-Group (Get-Node $state).machine $result $groups
    $report = [pscustomobject]@{ AggregateResult = $result; Targets = @($node) }
    $report.PSObject.TypeNames.Insert(0, 'Microsoft.Windows.Diagnostics.RemoteResultSet')
    return $report
}

# ---- IIS ----

# A new cluster's pool is seen only after the cache was thrown away.
function Reset-IISServerManager {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([switch]$Force)
    if ($PSCmdlet.ShouldProcess('IISServerManager')) {
        $state = Read-State
        $state.cached = $false
        Write-State $state
    }
}

function Get-IISAppPool {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string[]]$Name)
    $state = Read-State
    $there = $state.service -and (Get-Node $state).member
    if ($state.cached -or -not $there) {
        if (-not $there) {
            $state.cached = $true
            Write-State $state
        }
        Write-Warning ('The application pool ' + $Name + ' does not exist.')
        return
    }
    $model = [pscustomobject]@{ UserName = $state.account }
    return [pscustomobject]@{ ProcessModel = $model }
}

# ---- programs of Windows ----

function whoami {
    $state = Read-State
    if (@($args) -contains '/groups') {
        $level = 'S-1-16-12288'
        if ((Get-Trap $state 'not_elevated') -eq $true) {
            $level = 'S-1-16-8192'
        }
        return ('Mandatory Label\Level Label ' + $level)
    }
    return (Get-Own $state).ToLowerInvariant()
}

function icacls {
    $global:LASTEXITCODE = 0
    if ((Get-Trap (Read-State) 'icacls') -eq $true) {
        $global:LASTEXITCODE = 5
    }
}

function secedit {
    $state = Read-State
    $file = $args[[array]::IndexOf($args, '/cfg') + 1]
    $lines = @('[Unicode]', 'Unicode=yes', '[Privilege Rights]')
    $lines += 'SeAuditPrivilege = *S-1-5-19,*S-1-5-20,' + $state.account
    if ((Get-Trap $state 'no_batch') -ne $true) {
        $lines += 'SeBatchLogonRight = *S-1-5-32-544,' + $state.account
    }
    [System.IO.File]::WriteAllText($file, ($lines -join "`r`n"), [System.Text.Encoding]::Unicode)
    $global:LASTEXITCODE = 0
}

function certutil {
    $line = $args -join ' '
    $state = Read-State
    $node = Get-Node $state
    $global:LASTEXITCODE = 0
    if ($line -match '-csplist') {
        'Provider Name: Microsoft Software Key Storage Provider'
        'Provider Name: ' + $state.ksp
        return
    }
    Add-Call ('certutil ' + $line)
    if ($line -match '-addstore') {
        $certificate = [System.Security.Cryptography.X509Certificates.X509CertificateLoader]::LoadCertificateFromFile($args[2])
        $name = Get-KeyFile $certificate.Thumbprint 'crt'
        [System.IO.File]::WriteAllBytes($name, $certificate.RawData)
        if ((Get-Trap $state 'wrong_store') -eq $true) {
            $node.user_store = [object[]]@(@($node.user_store) + $certificate.Thumbprint)
        } else {
            $node.store = [object[]]@(@($node.store) + $certificate.Thumbprint)
        }
        Write-State $state
        'Certificate added to store.'
        return
    }
    $thumbprint = $args[$args.Count - 1]
    if ((Get-Trap $state 'unbindable') -eq $true -or -not (Test-Path -LiteralPath (Get-KeyFile $thumbprint 'pem'))) {
        'CertUtil: -repairstore command FAILED: 0x80090016'
        $global:LASTEXITCODE = -2146893802
        return
    }
    if (@($node.bound) -cnotcontains $thumbprint) {
        $node.bound = [object[]]@(@($node.bound) + $thumbprint)
    }
    Write-State $state
}

# ---- the stores ----

function Get-ChildItem {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath, [switch]$File)
    if ($Path -notlike 'Cert:*') {
        return (Microsoft.PowerShell.Management\Get-ChildItem -LiteralPath ($Path + $LiteralPath) -File:$File)
    }
    $node = Get-Node (Read-State)
    $store = @($node.store)
    if ($Path -notlike '*LocalMachine*') {
        $store = @($node.user_store)
    }
    foreach ($thumbprint in $store) {
        $name = Get-KeyFile $thumbprint 'crt'
        $certificate = [System.Security.Cryptography.X509Certificates.X509CertificateLoader]::LoadCertificateFromFile($name)
        $certificate | Add-Member -MemberType NoteProperty -Name HasPrivateKey -Value (@($node.bound) -ccontains $thumbprint) -Force -PassThru
    }
}

# `remove_fails`: something holds a file of a folder that is to go.
function Remove-Item {
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath, [switch]$Recurse, [switch]$Force)
    $state = Read-State
    if ($Path -like 'Cert:*') {
        Add-Call ('Remove-Item ' + $Path)
        if ((Get-Trap $state 'certificate_stays') -ne $true) {
            $node = Get-Node $state
            $node.store = [object[]]@($node.store | Where-Object -FilterScript { $Path -notlike ('*' + $_) })
            Write-State $state
        }
        return
    }
    if ((Get-Trap $state 'remove_fails') -eq $true) {
        Write-Error ('The process cannot access ' + $LiteralPath + ' because it is being used by another process.')
        return
    }
    Microsoft.PowerShell.Management\Remove-Item @PSBoundParameters
}

# ---- keys: what .NET Framework has for a certificate whose key lies in a key storage provider ----

class StubKeys {
    static [object] GetRSAPrivateKey([object]$Certificate) { return (New-StubKey $Certificate) }
    static [object] GetRSAPublicKey([object]$Certificate) { return (Get-PublicKey $Certificate) }
}

function Get-PublicKey($Certificate) {
    $rsa = [System.Security.Cryptography.RSA]::Create()
    $read = 0
    $rsa.ImportSubjectPublicKeyInfo($Certificate.PublicKey.ExportSubjectPublicKeyInfo(), [ref]$read)
    return $rsa
}

function New-StubKey($Certificate) {
    $state = Read-State
    $node = Get-Node $state
    $thumbprint = $Certificate.Thumbprint
    if (@($node.bound) -cnotcontains $thumbprint) {
        return $null
    }
    $serving = (Get-Own $state) -ceq $state.account
    # .NET Framework falls back to a legacy provider, which cannot say what is wrong.
    if (($serving -and -not $node.granted) -or (Get-Trap $state 'offline') -eq $true) {
        throw (New-Object -TypeName System.Security.Cryptography.CryptographicException -ArgumentList 'Invalid provider type specified.')
    }
    $rsa = [System.Security.Cryptography.RSA]::Create()
    $rsa.ImportFromPem([System.IO.File]::ReadAllText((Get-KeyFile $thumbprint 'pem')))
    $key = [pscustomobject]@{ Rsa = $rsa; State = $state; Thumbprint = $thumbprint }
    if ((Get-Trap $state 'legacy') -ne $true) {
        $key | Add-Member -MemberType ScriptProperty -Name Key -Value { $this.get_Key() }
    }
    $key | Add-Member -MemberType ScriptMethod -Name get_Key -Value { New-StubCngKey $this }
    $key | Add-Member -MemberType ScriptMethod -Name ExportParameters -Value {
        param($private)
        $parameters = $this.Rsa.ExportParameters($private)
        if ((Get-Trap $this.State 'padded_exponent') -eq $true) {
            $parameters.Exponent = [byte[]]@(0) + $parameters.Exponent
        }
        if ((Get-Trap $this.State 'wrong_key') -eq $true) {
            $parameters.Modulus[5] = $parameters.Modulus[5] -bxor 1
        }
        return $parameters
    }
    $key | Add-Member -MemberType ScriptMethod -Name SignData -Value { param($data, $hash, $padding) return ,$this.Rsa.SignData($data, $hash, $padding) }
    $key | Add-Member -MemberType ScriptMethod -Name Decrypt -Value {
        param($data, $padding)
        if ((Get-Trap $this.State 'no_decrypt') -eq $true) {
            throw 'The requested operation is not supported.'
        }
        return ,$this.Rsa.Decrypt($data, $padding)
    }
    $key | Add-Member -MemberType ScriptMethod -Name Dispose -Value { $this.Rsa.Dispose() }
    return $key
}

function New-StubCngKey($Key) {
    $cng = [pscustomobject]@{ State = $Key.State }
    $cng | Add-Member -MemberType ScriptProperty -Name Provider -Value { $this.get_Provider() }
    $cng | Add-Member -MemberType ScriptProperty -Name KeyName -Value { $this.get_KeyName() }
    $cng | Add-Member -MemberType ScriptMethod -Name get_Provider -Value {
        if ((Get-Trap $this.State 'provider_throws') -eq $true) {
            throw 'The device is not connected.'
        }
        $name = Get-Trap $this.State 'provider'
        if ($null -eq $name) {
            $name = $this.State.ksp
        }
        $provider = [pscustomobject]@{ Provider = $name }
        $provider | Add-Member -MemberType ScriptMethod -Name get_Provider -Value { $this.Provider } -PassThru
    }
    $cng | Add-Member -MemberType ScriptMethod -Name get_KeyName -Value {
        if ((Get-Trap $this.State 'name_throws') -eq $true) {
            throw 'The requested property is not supported.'
        }
        'container'
    }
    # No provider here keeps a security descriptor.
    $cng | Add-Member -MemberType ScriptMethod -Name GetProperty -Value { param($name, $options) throw 'The requested operation is not supported.' }
    return $cng
}

[psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')::Add('System.Security.Cryptography.X509Certificates.RSACertificateExtensions', [StubKeys])

# ---- processes, the node's own metadata, people ----

function Get-CimInstance {
    [CmdletBinding()]
    param([string]$ClassName, [string]$Filter)
    $state = Read-State
    $node = Get-Node $state
    if ($ClassName -ceq 'Win32_Service') {
        return [pscustomobject]@{ ProcessId = 4 }
    }
    if ($node.worker_started -ne '') {
        [pscustomobject]@{ CommandLine = 'c:\windows\system32\inetsrv\w3wp.exe -ap "DefaultAppPool"'; CreationDate = [datetime]'2001-01-01' }
        [pscustomobject]@{ CommandLine = 'c:\windows\system32\inetsrv\w3wp.exe -ap "KeyProtection" -v "v4.0"'; CreationDate = ([datetime]::Parse($node.worker_started, [cultureinfo]::InvariantCulture, 'AdjustToUniversal')) }
    }
}

function Get-Process {
    [CmdletBinding()]
    param([int]$Id)
    $started = (Get-Node (Read-State)).service_started
    return [pscustomobject]@{ StartTime = ([datetime]::Parse($started, [cultureinfo]::InvariantCulture, 'AdjustToUniversal')) }
}

function ConvertTo-Certificate([string]$Thumbprint) {
    return [System.Convert]::ToBase64String([System.IO.File]::ReadAllBytes((Get-KeyFile $Thumbprint 'crt')))
}

# What the node publishes; asking wakes the pool.
function Get-Metadata {
    $state = Read-State
    if ((Get-Trap $state 'no_http') -eq $true) {
        throw 'Unable to connect to the remote server'
    }
    $node = Get-Node $state
    if ($node.worker_started -eq '') {
        $node.worker_started = [datetime]::UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'")
        Write-State $state
    }
    $own = @{}
    foreach ($entry in @($state.known | Where-Object -FilterScript { $_.primary })) {
        $own[$entry.type] = ConvertTo-Certificate $entry.thumbprint
    }
    return [System.Text.Encoding]::UTF8.GetBytes(('<?xml version="1.0" encoding="utf-8"?><Metadata Version="1" xmlns="http://schemas.microsoft.com/kps/2014/07"><GuardianInformation><Version>1</Version><EncryptionCertificate>' + $own['Encryption'] + '</EncryptionCertificate><SigningCertificate>' + $own['Signing'] + '</SigningCertificate></GuardianInformation></Metadata>'))
}

function New-Object {
    [CmdletBinding()]
    param([Parameter(Position = 0)] [string]$TypeName, [object[]]$ArgumentList, [hashtable]$Property)
    if ($TypeName -ceq 'System.Net.WebClient') {
        $client = [pscustomobject]@{ Proxy = 'a proxy' }
        $client | Add-Member -MemberType ScriptMethod -Name DownloadData -Value {
            param($address)
            if ($null -ne $this.Proxy) {
                throw 'the proxy refuses'
            }
            return ,(Get-Metadata)
        }
        $client | Add-Member -MemberType ScriptMethod -Name Dispose -Value { }
        return $client
    }
    return ,(Microsoft.PowerShell.Utility\New-Object @PSBoundParameters)
}

# The lines of a file on which a statement begins.
function Get-Lines([string]$File) {
    $syntax = [System.Management.Automation.Language.Parser]::ParseFile($File, [ref]$null, [ref]$null)
    $found = $syntax.FindAll({ $args[0] -is [System.Management.Automation.Language.StatementAst] -and $args[0] -isnot [System.Management.Automation.Language.FunctionDefinitionAst] }, $true)
    return @($found | ForEach-Object -Process { $_.Extent.StartLineNumber } | Sort-Object -Unique)
}

# From now on each line of a script that runs, and of what it loads, is written down: tests/hgs/lines.
function Watch-Lines([string]$Script) {
    foreach ($file in @($Script, (Join-Path (Split-Path $Script) 'KeyferryCommon.ps1'))) {
        $null = Set-PSBreakpoint -Script $file -Line (Get-Lines $file) -Action {
            [System.IO.File]::AppendAllText($env:KEYFERRY_STUB_LINES + '/' + $PID, [System.IO.Path]::GetFileName($_.Script) + ' ' + $_.Line + "`n")
        }
    }
}

# What the scripts announce: a fault that waits for this step happens now.
function Write-Host {
    [CmdletBinding()]
    param([Parameter(Position = 0)] $Object)
    if ($Object -ceq '== check-folder' -and $null -ne $env:KEYFERRY_STUB_LINES) {
        Watch-Lines (Get-PSCallStack)[1].ScriptName
    }
    if (('' + $Object).StartsWith('== ')) {
        $state = Read-State
        foreach ($fault in @($state.faults)) {
            if (('== ' + $fault.step) -ceq $Object) {
                Add-Call ('fault at ' + $fault.step)
                foreach ($trap in @($fault.traps.PSObject.Properties)) {
                    Set-Trap $state $trap.Name $trap.Value
                }
                foreach ($field in @($fault.node.PSObject.Properties)) {
                    (Get-Node $state).($field.Name) = $field.Value
                }
            }
        }
        $state.faults = [object[]]@($state.faults | Where-Object -FilterScript { ('== ' + $_.step) -cne $Object })
        Write-State $state
    }
    if (('' + $Object).StartsWith('    Initialize-HgsServer')) {
        [System.IO.File]::AppendAllText($env:KEYFERRY_STUB + '.told', $Object + "`n")
    }
    Microsoft.PowerShell.Utility\Write-Host $Object
}

function Start-Sleep {
    param([double]$Seconds)
    $state = Read-State
    $state.clock = $state.clock + $Seconds
    Write-State $state
}

# What a person does at a prompt, one answer after the other; then they end it. `forest` and `domain`: what the script told them to type.
function Read-Host {
    param([string]$Prompt)
    $state = Read-State
    $answers = @($state.answers)
    if ($answers.Count -eq 0) {
        return 'end'
    }
    $state.answers = [object[]]@($answers | Select-Object -Skip 1)
    $node = Get-Node $state
    switch ($answers[0]) {
        'grant' { $node.granted = $true }
        'bindable' { Set-Trap $state 'unbindable' $false }
        'online' { Set-Trap $state 'offline' $false }
    }
    Write-State $state
    if (@('forest', 'domain') -ccontains $answers[0]) {
        $domain = $answers[0] -ceq 'domain'
        $told = [System.IO.File]::ReadAllLines($env:KEYFERRY_STUB + '.told')
        Invoke-Line @($told | Where-Object -FilterScript { $_.Contains('-UseExistingDomain') -eq $domain })[0]
    }
    return ''
}

# ---- ScheduledTasks: CDXML, whose errors do not terminate unless asked to ----

function New-ScheduledTaskAction {
    [CmdletBinding()]
    param([string]$Execute, [string]$Argument, [string]$WorkingDirectory)
    return $Argument
}

function New-ScheduledTaskPrincipal {
    [CmdletBinding()]
    param([string]$UserId, [ValidateSet('None', 'Password', 'S4U', 'Interactive', 'Group', 'ServiceAccount', 'InteractiveOrPassword')] [string]$LogonType)
    return $UserId
}

function New-ScheduledTaskSettingsSet {
    [CmdletBinding()]
    param([timespan]$ExecutionTimeLimit)
    return $ExecutionTimeLimit
}

function Register-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName, $Action, $Principal, $Settings)
    $state = Read-State
    if ((Get-Trap $state 'unregistrable') -eq $true) {
        Write-Error 'No mapping between account names and security IDs was done.'
        return
    }
    $state.task = [pscustomobject]@{ name = $TaskName; action = $Action; account = $Principal; result = 267011 }
    Write-State $state
    return $TaskName
}

# Runs the script in a process of its own, as the account, by -File; or ends as `task` says.
function Start-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName)
    $state = Read-State
    if ($null -eq $state.task) {
        Write-Error 'The system cannot find the file specified.'
        return
    }
    $ends = Get-Trap $state 'task'
    if ($null -ne $ends) {
        $state.task.result = $ends
        Write-State $state
        return
    }
    if ($state.task.action -notmatch '-File "([^"]+)" (.*) > "([^"]+)" 2>&1') {
        throw ('not the expected task: ' + $state.task.action)
    }
    $output = $Matches[3]
    $env:KEYFERRY_STUB_ACCOUNT = $state.task.account
    $env:XDG_CONFIG_HOME = Get-Profiles
    $text = Invoke-Expression ('pwsh -NonInteractive -File "' + $Matches[1] + '" ' + $Matches[2]) | Out-String
    $code = $LASTEXITCODE
    $env:KEYFERRY_STUB_ACCOUNT = $null
    [System.IO.File]::WriteAllText($output, $text)
    $state = Read-State
    $state.task.result = $code
    Write-State $state
}

# A PowerShell with this folder of profiles has this module before it runs a file.
function Get-Profiles {
    $folder = $env:KEYFERRY_STUB + '.profiles'
    $null = [System.IO.Directory]::CreateDirectory($folder + '/powershell')
    [System.IO.File]::WriteAllText($folder + '/powershell/profile.ps1', "Import-Module '" + $PSCommandPath + "'")
    return $folder
}

function Get-ScheduledTaskInfo {
    [CmdletBinding()]
    param([string]$TaskName)
    return [pscustomobject]@{ LastTaskResult = (Read-State).task.result }
}

function Stop-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName)
    Add-Call 'Stop-ScheduledTask'
}

function Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([string]$TaskName)
    $state = Read-State
    if ((Get-Trap $state 'unregister_fails') -eq $true) {
        Write-Error 'Access is denied.'
        return
    }
    $state.task = $null
    Write-State $state
}

Export-ModuleMember -Function '*-Hgs*', '*-ScheduledTask*', '*-IIS*', 'Install-WindowsFeature', 'Install-ADServiceAccount', 'Invoke-Told', 'Get-Lines', 'whoami', 'icacls', 'secedit', 'certutil', 'Get-ChildItem', 'Remove-Item', 'Get-CimInstance', 'Get-Process', 'New-Object', 'Start-Sleep', 'Read-Host', 'Write-Host'
