# Makes the two certificates of this ceremony the primary ones of this HGS: once, on one node, when every node is ready
# and officers have signed. Signing first, then encryption; where the second stays as it was, the first is put back.
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
param(
    # SHA-256 of the file SHA256SUMS, as keyferry-hoster register printed it: from paper, not from this folder.
    [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f]{64}$')] [string]$Sums
)

# begin preamble: the same lines in every script. Nothing else of the folder is loaded before its hash was right.
function Step([string]$Name) {
    Write-Host ''
    Write-Host ('== ' + $Name)
}

# What is wrong where a rule refuses, as Keyferry's programs say it.
$script:faults = @{
    'NODE-FOLDER' = 'the node has not the whole register folder, unchanged'
    'NODE-MACHINE' = 'the node lacks something that the scripts need'
    'NODE-ORDER' = 'no order says that this may begin'
    'NODE-CERTIFICATE' = 'the node has not the certificates in LocalMachine\My'
    'NODE-BINDING' = 'a certificate is not bound to its key in the planned key storage provider'
    'NODE-GRANT' = 'the service''s account may not read the key'
    'NODE-REGISTERED' = 'the service does not know both certificates, each for its role'
    'NODE-PROOF' = 'the keys do not sign or decrypt for the service''s account'
    'NODE-PRIMARY' = 'the primary certificates are not, or cannot become, those that the order names'
}

function Refuse([string]$Rule, [string]$Found, [string]$Expected, [string]$Remedy) {
    Write-Host ''
    Write-Host ('Refused: ' + $script:faults[$Rule] + ' (' + $Rule + ')')
    Write-Host ('  found:    ' + $Found)
    Write-Host ('  expected: ' + $Expected)
    Write-Host ('  to do:    ' + $Remedy)
    exit 3
}

function Assert-Folder([string]$Folder, [string]$Sums) {
    if (('' + $ExecutionContext.SessionState.LanguageMode) -cne 'FullLanguage') {
        Refuse 'NODE-MACHINE' ('a session in ' + $ExecutionContext.SessionState.LanguageMode) 'FullLanguage' 'a policy restricts PowerShell here: let it allow this folder. A JEA endpoint is not enough'
    }
    $remedy = 'copy the whole register folder to this node again, and type the hash that keyferry-hoster register printed'
    $list = Join-Path -Path $Folder -ChildPath 'SHA256SUMS'
    if (-not (Test-Path -LiteralPath $list -PathType Leaf)) {
        Refuse 'NODE-FOLDER' 'no file SHA256SUMS' 'the whole register folder' $remedy
    }
    $found = (Get-FileHash -LiteralPath $list -Algorithm SHA256).Hash.ToLowerInvariant()
    if ($found -cne $Sums.ToLowerInvariant()) {
        Refuse 'NODE-FOLDER' ('SHA256SUMS with SHA-256 ' + $found) ('SHA-256 ' + $Sums.ToLowerInvariant()) $remedy
    }
    $names = @()
    foreach ($line in [System.IO.File]::ReadAllText($list).TrimEnd("`n").Split("`n")) {
        if ($line -cnotmatch '^([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]*)$') {
            Refuse 'NODE-FOLDER' ('the line ' + $line) 'a hash, two spaces, a name' $remedy
        }
        $expected = $Matches[1]
        $name = $Matches[2]
        $names += $name
        $path = Join-Path -Path $Folder -ChildPath $name
        if (-not (Test-Path -LiteralPath $path -PathType Leaf)) {
            Refuse 'NODE-FOLDER' ('no file ' + $name) 'every file that SHA256SUMS lists' $remedy
        }
        $found = (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
        if ($found -cne $expected) {
            Refuse 'NODE-FOLDER' ($name + ' with SHA-256 ' + $found) ('SHA-256 ' + $expected) $remedy
        }
    }
    foreach ($name in @('KeyferryCommon.ps1', 'registration.json')) {
        if ($names -cnotcontains $name) {
            Refuse 'NODE-FOLDER' ('SHA256SUMS without ' + $name) 'a folder that keyferry-hoster register wrote for hgs' $remedy
        }
    }
    Write-Host ('The folder is whole: ' + $names.Count + ' files.')
}
# end preamble


# A new cluster gets its certificates from Initialize-HgsServer, which is for a person to run: it decides much more.
function Wait-Initialized($Brief, [string]$Signing, [string]$Encryption) {
    $thumbprints = '-SigningCertificateThumbprint ' + $Signing + ' -EncryptionCertificateThumbprint ' + $Encryption
    $advice = @(
        'There is no HGS on this node yet. Type one of these in another window, with the names that you planned, then come back here.'
        'A forest of its own (this server was promoted by Install-HgsServer before):'
        ('  Initialize-HgsServer -HgsServiceName <name> ' + $thumbprints + ' -TrustTpm')
        'An existing domain (Install-ADServiceAccount was run on this server before):'
        ('  Initialize-HgsServer -UseExistingDomain -ServiceAccount <gMSA> -JeaReviewersGroup <group> -JeaAdministratorsGroup <group> -HgsServiceName <name> -ClusterName <name> ' + $thumbprints + ' -TrustTpm')
        '-ClusterName only where the cluster''s objects were made beforehand; -TrustHostKey (Windows Server 2019 and later) or -TrustActiveDirectory in place of -TrustTpm.'
    )
    Wait-Until $advice { (Get-ServiceAccount $Brief) -ne '' }
}

# A scope of its own: that of the script is the global one under -File, and what is set there reaches into every module.
& {
    Set-StrictMode -Version 2.0
    $ErrorActionPreference = 'Stop'
    try {
        Step 'check-folder'
        Assert-Folder $PSScriptRoot $Sums
        . (Join-Path -Path $PSScriptRoot -ChildPath 'KeyferryCommon.ps1')
        $brief = Read-Brief $PSScriptRoot
        $signing = (Get-BriefKey $brief 'signing').thumbprint
        $encryption = (Get-BriefKey $brief 'encryption').thumbprint

        Step 'check-order'
        $standing = Get-StandingOrder @(Read-Orders $PSScriptRoot $brief)
        if ($null -eq $standing -or $standing.order -cne 'activate') {
            Refuse 'NODE-ORDER' 'no standing order to activate' 'a file like 03-activate.json as the newest order' 'keyferry-hoster primary writes it, when every node is ready and officers have signed; copy it here'
        }
        if ($brief.trial) {
            Refuse 'NODE-ORDER' 'an order to activate in a trial' 'a trial ends before activation' 'use the folder of the real ceremony'
        }
        $former = Get-Former $standing

        Step 'record-primaries'
        if ((Get-ServiceAccount $brief) -eq '') {
            if ($WhatIfPreference) {
                Write-Host 'There is no HGS yet: nothing to record, and nothing that this script would change.'
                exit 0
            }
            Wait-Initialized $brief $signing $encryption
        }
        $prior = Get-Primaries
        Assert-Known $signing $encryption
        if ((@($former.signing, $signing) -cnotcontains $prior.signing) -or (@($former.encryption, $encryption) -cnotcontains $prior.encryption)) {
            Refuse 'NODE-PRIMARY' ('signing ' + $prior.signing + ', encryption ' + $prior.encryption) ('signing ' + $former.signing + ', encryption ' + $former.encryption + ': what officers saw') 'somebody changed the primaries since: the officers must sign again'
        }
        if ($prior.signing -ceq $signing -and $prior.encryption -ceq $encryption) {
            Write-Host 'Both are primary already: nothing to change.'
        } elseif (Test-Consent 'the primary certificates of this HGS, for every tenant of it' ('set signing ' + $signing + ' and encryption ' + $encryption)) {
            Save-Primaries $PSScriptRoot $standing $prior
        } else {
            exit 0
        }

        Step 'set-signing'
        $now = Set-Primary 'signing' $signing $prior
        if ($now.signing -cne $signing) {
            Refuse 'NODE-PRIMARY' ('now primary: ' + (Format-Primaries $now)) ('signing ' + $signing) 'nothing else was changed: see what the cmdlet said, and run the script again'
        }
        Write-Host ('Primary: signing ' + $signing)

        Step 'set-encryption'
        $now = Set-Primary 'encryption' $encryption $now
        if ($now.encryption -cne $encryption) {
            # Half a change serves nobody: the signing certificate goes back, but only where the other half is seen to be the former one.
            $whole = 'signing ' + $signing + ', encryption ' + $encryption
            if ($former.signing -eq '' -or $now.encryption -cne $former.encryption) {
                Refuse 'NODE-PRIMARY' ('now primary: ' + (Format-Primaries $now) + '; nothing was put back') $whole 'mend what failed, and run the script again'
            }
            $now = Set-Primary 'signing' $former.signing $now
            if ($now.signing -ceq $former.signing -and $now.encryption -ceq $former.encryption) {
                Refuse 'NODE-PRIMARY' ('encryption could not be set; signing was put back. Now primary: ' + (Format-Primaries $now)) 'both or none' 'mend what failed, and run the script again'
            }
            Refuse 'NODE-PRIMARY' ('half a change. Now primary: ' + (Format-Primaries $now)) ('both or none: ' + $whole) ('run the script again, which sets what is missing; or go back by hand: Set-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint ' + $former.signing + ' -IsPrimary, and the same for Encryption ' + $former.encryption)
        }
        Write-Host ('Primary: encryption ' + $encryption)

        Step 'read-back'
        $now = Wait-Primary 'encryption' $encryption $now
        if ($now.signing -cne $signing -or $now.encryption -cne $encryption) {
            Refuse 'NODE-PRIMARY' ('now primary: ' + (Format-Primaries $now)) ('signing ' + $signing + ', encryption ' + $encryption) 'somebody else changes the primaries: find out who, then run the script again'
        }
        Write-Host 'Both are primary. The former certificates stay: virtual machines of before need them.'
        if ($brief.deployment -ceq 'new') {
            Write-Host 'Next, on each other node: Initialize-HgsServer -HgsServerIPAddress <address of this node>.'
            Write-Host 'Then, when 10 minutes have passed, on every node: Install-KeyferryNode.ps1 again, which lets the service read the keys.'
        }
        Write-Host 'Next: on every node, when 10 minutes have passed, iisreset; then Test-KeyferryNode.ps1 with this order beside it.'
    } catch {
        if ($null -ne (Get-Command -Name Show-Failure -ErrorAction SilentlyContinue)) {
            Show-Failure $_
        } else {
            Write-Host ('failed: ' + $_.Exception.Message)
        }
        exit 1
    }
}
