# Puts back the primary certificates that were there before this ceremony: once, on one node, when officers have signed a
# rollback. The certificates of the ceremony stay registered: what was sealed for them meanwhile still opens.
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
        if ($null -eq $standing -or $standing.order -cne 'rollback') {
            Refuse 'NODE-ORDER' 'no standing order to roll back' 'a file like 04-rollback.json as the newest order' 'keyferry-hoster rollback writes it, when officers have signed; copy it here'
        }
        $former = Get-Former $standing
        if ($former.signing -eq '' -or $former.encryption -eq '') {
            Refuse 'NODE-ORDER' 'an order without former primaries' 'one for each role' 'a new cluster had none before: there is nothing to go back to'
        }

        Step 'record-primaries'
        if ((Get-ServiceAccount $brief) -eq '') {
            Refuse 'NODE-PRIMARY' 'no HGS on this node' 'the cluster whose primaries are to go back' 'run this on a node of the cluster'
        }
        $prior = Get-Primaries
        Assert-Known $former.signing $former.encryption
        if ((@($former.signing, $signing) -cnotcontains $prior.signing) -or (@($former.encryption, $encryption) -cnotcontains $prior.encryption)) {
            Refuse 'NODE-PRIMARY' ('signing ' + $prior.signing + ', encryption ' + $prior.encryption) ('signing ' + $signing + ', encryption ' + $encryption + ': those of this ceremony') 'somebody else changed the primaries since: the officers must decide anew'
        }
        if ($prior.signing -ceq $former.signing -and $prior.encryption -ceq $former.encryption) {
            Write-Host 'Both former certificates are primary already: nothing to change.'
        } elseif (Test-Consent 'the primary certificates of this HGS, for every tenant of it' ('put back signing ' + $former.signing + ' and encryption ' + $former.encryption)) {
            Save-Primaries $PSScriptRoot $standing $prior
        } else {
            exit 0
        }

        Step 'restore-signing'
        $now = Set-Primary 'signing' $former.signing $prior
        if ($now.signing -cne $former.signing) {
            Refuse 'NODE-PRIMARY' ('now primary: ' + (Format-Primaries $now)) ('signing ' + $former.signing) 'nothing else was changed: see what the cmdlet said, and run the script again'
        }
        Write-Host ('Primary: signing ' + $former.signing)

        Step 'restore-encryption'
        # Not undone where it stays: the way back is the one that was decided. Which half is where is said exactly.
        $now = Set-Primary 'encryption' $former.encryption $now
        if ($now.encryption -cne $former.encryption) {
            Refuse 'NODE-PRIMARY' ('half of the way back. Now primary: ' + (Format-Primaries $now)) ('encryption ' + $former.encryption) ('mend what failed and run the script again, or by hand: Set-HgsKeyProtectionCertificate -CertificateType Encryption -Thumbprint ' + $former.encryption + ' -IsPrimary')
        }
        Write-Host ('Primary: encryption ' + $former.encryption)

        Step 'read-back'
        $now = Wait-Primary 'encryption' $former.encryption $now
        if ($now.signing -cne $former.signing -or $now.encryption -cne $former.encryption) {
            Refuse 'NODE-PRIMARY' ('now primary: ' + (Format-Primaries $now)) ('signing ' + $former.signing + ', encryption ' + $former.encryption) 'somebody else changes the primaries: find out who, then run the script again'
        }
        Write-Host 'Both former certificates are primary again. Those of the ceremony stay registered.'
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
