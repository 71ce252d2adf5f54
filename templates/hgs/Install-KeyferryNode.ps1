# Installs the two certificates on this node, binds them to their keys in the HSM, lets the service's account read the
# keys and makes them known to the Host Guardian Service. Nothing becomes primary. Safe to run twice; -WhatIf shows.
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # SHA-256 of the file SHA256SUMS, as keyferry-hoster register printed it: from paper, not from this folder.
    [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f]{64}$')] [string]$Sums,

    # The name that this node has in the plan.
    [Parameter(Mandatory = $true)] [string]$Node,

    # In a trial only: removes this trial's certificates from LocalMachine\My again. The keys stay in the HSM.
    [switch]$Remove
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


# What a provider needs before a certificate can be bound to a key that came through PKCS#11.
function Get-VendorAdvice([string]$Ksp, $Key) {
    switch -Wildcard ($Ksp) {
        'nCipher*' {
            'Once on this node, with the security world''s files synchronised to it:'
            ('  cngimport --import -M --key=<ident> --appname=simple ' + $Key.container)
            'The ident of a key that came through PKCS#11 is in nfkminfo -k; whether --appname=pkcs11 is taken is not documented publicly: ask the vendor.'
        }
        'SafeNet*' {
            'KspConfig.exe, as the administrator: register the library, then the slot, for this account and for the service''s account.'
            'How a PKCS#11 key becomes a KSP container is not documented publicly: ask the vendor.'
        }
        'Ca*' {
            'import_key.exe -from HSM -privateKeyHandle <handle> -publicKeyHandle <handle>'
            ('The handles are those of the keys with the label ' + $Key.container + ' and the id ' + $Key.id + ' (key_mgmt_util: findKey).')
        }
        'CloudHSM*' {
            'import_key.exe -from HSM -privateKeyHandle <handle> -publicKeyHandle <handle>'
            ('The handles are those of the keys with the label ' + $Key.container + ' and the id ' + $Key.id + ' (key list).')
        }
        'Utimaco*' {
            'Set the group of the keys in cs_cng.cfg on this node.'
            'Whether repairstore finds a key that came through PKCS#11 is not documented publicly: ask the vendor.'
        }
        default {
            ('The container that is wanted: ' + $Key.container + ', id ' + $Key.id + '. See INSTRUCTIONS.txt, and the vendor''s guide.')
        }
    }
}

function Repair-Binding($Brief, $Key) {
    # repairstore without a key only says so and ends with an error: what counts is what is read back.
    certutil -f -csp $Brief.ksp -repairstore My $Key.thumbprint | Out-Host
    return Test-Binding $Brief $Key (Assert-Certificate $Key)
}

# Read, by the property that a provider may honour: true where the descriptor then says so.
function Grant-Read($Key, [string]$Account) {
    $private = $null
    try {
        $sid = (New-Object -TypeName System.Security.Principal.NTAccount -ArgumentList $Account).Translate([System.Security.Principal.SecurityIdentifier])
        $private = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey((Assert-Certificate $Key))
        # DACL_SECURITY_INFORMATION, and to keep it.
        $dacl = [System.Enum]::ToObject([System.Security.Cryptography.CngPropertyOptions], 4)
        $keep = [System.Enum]::ToObject([System.Security.Cryptography.CngPropertyOptions], ([int]::MinValue -bor 4))
        [byte[]]$bytes = $private.Key.GetProperty('Security Descr', $dacl).GetValue()
        if (Test-Read $bytes $sid) {
            Write-Host ($Key.label + ': ' + $Account + ' may read it already')
            return $true
        }
        $raw = New-Object -TypeName System.Security.AccessControl.RawSecurityDescriptor -ArgumentList $bytes, 0
        $descriptor = New-Object -TypeName System.Security.AccessControl.CommonSecurityDescriptor -ArgumentList $false, $false, $raw
        # GENERIC_READ and FILE_GENERIC_READ: what certlm.msc sets for Read.
        $descriptor.DiscretionaryAcl.AddAccess([System.Security.AccessControl.AccessControlType]::Allow, $sid, ([int]::MinValue -bor 1179785), [System.Security.AccessControl.InheritanceFlags]::None, [System.Security.AccessControl.PropagationFlags]::None)
        $changed = New-Object -TypeName 'byte[]' -ArgumentList $descriptor.BinaryLength
        $descriptor.GetBinaryForm($changed, 0)
        $property = New-Object -TypeName System.Security.Cryptography.CngProperty -ArgumentList 'Security Descr', $changed, $keep
        $private.Key.SetProperty($property)
        [byte[]]$bytes = $private.Key.GetProperty('Security Descr', $dacl).GetValue()
        return Test-Read $bytes $sid
    } catch {
        Write-Host ($Key.label + ': ' + (Get-Words $_))
        return $false
    } finally {
        if ($null -ne $private) {
            $private.Dispose()
        }
    }
}

# Whether a descriptor lets an account read: an allowing entry for it with read, generic read or generic all.
function Test-Read([byte[]]$Bytes, $Sid) {
    $raw = New-Object -TypeName System.Security.AccessControl.RawSecurityDescriptor -ArgumentList $Bytes, 0
    if ($null -eq $raw.DiscretionaryAcl) {
        return $false
    }
    foreach ($entry in $raw.DiscretionaryAcl) {
        if ($entry.AceType -eq [System.Security.AccessControl.AceType]::AccessAllowed -and $entry.SecurityIdentifier -eq $Sid -and ($entry.AccessMask -band ([int]::MinValue -bor 268435457)) -ne 0) {
            return $true
        }
    }
    return $false
}

# Whether the service's account can open both keys: asked of the account itself.
function Test-Look([string]$Account) {
    $work = New-WorkFolder $PSScriptRoot $Account
    try {
        return (Start-AsService $work $Account ('-Node "' + $Node + '" -Sums ' + $Sums + ' -AsService -Look')) -eq 0
    } finally {
        Remove-WorkFolder $work
    }
}

# Whether the service knows a certificate, whatever the cmdlet that added it said: looked at every 5 seconds for up to 10 minutes,
# which is what replication takes. The script ends where the last look saw nothing.
function Wait-Registered([string]$Role, [string]$Thumbprint) {
    for ($i = 0; $i -le 120; $i++) {
        if ($i -eq 1) {
            Write-Host ('Looking for up to 10 minutes whether the service knows the ' + $Role + ' certificate ' + $Thumbprint)
        }
        if ($i -ne 0) {
            Start-Sleep -Seconds 5
        }
        $failure = $null
        try {
            if (@(Get-Registered $Role) -ccontains $Thumbprint) {
                return $true
            }
        } catch {
            $failure = $_
        }
    }
    if ($null -ne $failure) {
        Show-Failure $failure
        Write-Host ''
        Write-Host ('Whether the service knows the ' + $Role + ' certificate is unknown: it does not answer. Nothing else was changed.')
        Write-Host '  look, until it answers, and then run this script again:'
        Write-Host '    Get-HgsKeyProtectionCertificate'
        exit 1
    }
    return $false
}

# Whether the service has still to be told of a certificate: a node that is not the first is given the time of replication first.
function Test-Missing([string]$Role, [string]$Thumbprint, [bool]$First) {
    if (-not $First -and -not $WhatIfPreference) {
        return (-not (Wait-Registered $Role $Thumbprint))
    }
    return (@(Get-Registered $Role) -cnotcontains $Thumbprint)
}

# What this node must have, as far as that can be read, before anything is changed. What may come by a group is only said.
function Assert-Node($Brief, [string]$Account) {
    if (-not [System.Environment]::Is64BitProcess) {
        Refuse 'NODE-MACHINE' 'a 32-bit PowerShell' 'the 64-bit one' 'open Windows PowerShell, not Windows PowerShell (x86)'
    }
    $groups = '' + (whoami /groups)
    if ($groups -notmatch 'S-1-16-(12288|16384)') {
        Refuse 'NODE-MACHINE' 'a session without the rights of an administrator' 'an elevated one' 'open Windows PowerShell with Run as administrator'
    }
    $providers = '' + (certutil -csplist)
    if (-not $providers.Contains($Brief.ksp)) {
        Refuse 'NODE-MACHINE' ('no provider ' + $Brief.ksp + ' among those that certutil -csplist names') $Brief.ksp 'install the client of the HSM''s vendor on this node, with its key storage provider'
    }
    if ($Account -eq '') {
        return
    }
    if ($null -eq (Get-Command -Name Get-HgsKeyProtectionCertificate -ErrorAction SilentlyContinue)) {
        Refuse 'NODE-MACHINE' 'no cmdlet Get-HgsKeyProtectionCertificate' 'the module HgsServer' 'log on as an administrator of HGS itself: a JEA endpoint is not enough'
    }
    $rights = Read-Rights
    foreach ($right in @('SeBatchLogonRight', 'SeAuditPrivilege')) {
        if (-not (Test-Right $rights $right $Account)) {
            Write-Host ($right + ' does not name ' + $Account + ' on this node. If no group gives it either, INSTRUCTIONS.txt says how: Before the first script.')
        }
    }
}

# The user rights of this node, as secedit writes them.
function Read-Rights {
    $file = Join-Path -Path $env:ProgramData -ChildPath ('Keyferry-' + [System.Guid]::NewGuid().ToString('N') + '.inf')
    try {
        secedit /export /areas USER_RIGHTS /cfg $file | Out-Null
        return [System.IO.File]::ReadAllText($file)
    } catch {
        Write-Host ('The user rights of this node cannot be read: ' + (Get-Words $_))
        return ''
    } finally {
        if (Test-Path -LiteralPath $file) {
            Remove-WorkFolder $file
        }
    }
}

# Whether a right names an account, by its name or its SID.
function Test-Right([string]$Rights, [string]$Right, [string]$Account) {
    if ($Rights -notmatch ('(?m)^' + $Right + '\s*=\s*(.*)$')) {
        return $false
    }
    $holders = @($Matches[1].Split(',') | ForEach-Object -Process { $_.Trim().TrimStart('*') })
    if ($holders -contains $Account) {
        return $true
    }
    try {
        $sid = (New-Object -TypeName System.Security.Principal.NTAccount -ArgumentList $Account).Translate([System.Security.Principal.SecurityIdentifier])
        return $holders -contains $sid.Value
    } catch {
        return $false
    }
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
        $signing = Get-BriefKey $brief 'signing'
        $encryption = Get-BriefKey $brief 'encryption'
        $keys = @($signing, $encryption)

        Step 'check-order'
        $orders = @(Read-Orders $PSScriptRoot $brief)
        Assert-Turn $brief $orders $Node
        $stage = Get-Stage (Get-StandingOrder $orders)
        $first = @($brief.nodes)[0] -ceq $Node
        if ($Remove -and -not $brief.trial) {
            Refuse 'NODE-ORDER' '-Remove outside a trial' 'a brief with trial true' 'leave the certificates: old virtual machines need old ones, and Keyferry removes none'
        }

        Step 'check-node'
        $account = Get-ServiceAccount $brief
        if (-not $Remove) {
            Assert-Node $brief $account
        }

        Step 'install-certificates'
        if ($signing.thumbprint -ceq $encryption.thumbprint) {
            Refuse 'NODE-CERTIFICATE' ('one thumbprint for both roles: ' + $signing.thumbprint) 'two certificates' 'make a new plan: HGS needs a key for each role'
        }
        if ($Remove) {
            foreach ($key in $keys) {
                if (@(Find-Certificate $key.thumbprint).Count -eq 0) {
                    Write-Host ($key.label + ' is not in LocalMachine\My.')
                    continue
                }
                Assert-Certificate $key | Out-Null
                if ($account -ne '' -and @(Get-Registered $key.role) -ccontains $key.thumbprint) {
                    Refuse 'NODE-REGISTERED' ($key.label + ' of a trial is known to the service') 'nothing of a trial is registered' 'somebody registered it by hand: mend that first'
                }
                if (Test-Consent 'LocalMachine\My' ('remove the trial certificate ' + $key.thumbprint)) {
                    Remove-Item -Path ('Cert:\LocalMachine\My\' + $key.thumbprint) -Confirm:$false
                    if (@(Find-Certificate $key.thumbprint).Count -ne 0) {
                        throw ($key.label + ' is still in LocalMachine\My')
                    }
                    Write-Host ($key.label + ' was removed from LocalMachine\My. Its key is still in the HSM.')
                }
            }
            exit 0
        }
        foreach ($key in $keys) {
            $path = Join-Path -Path $PSScriptRoot -ChildPath ($key.label + '.crt')
            if ((Get-Sha256 $path) -cne $key.certificate.hash) {
                Refuse 'NODE-CERTIFICATE' ($key.label + '.crt with SHA-256 ' + (Get-Sha256 $path)) $key.certificate.hash 'copy the whole register folder to this node again'
            }
            if (@(Find-Certificate $key.thumbprint).Count -eq 0 -and (Test-Consent 'LocalMachine\My' ('add ' + $key.label + '.crt'))) {
                certutil -addstore My $path | Out-Host
            }
            if ($WhatIfPreference -and @(Find-Certificate $key.thumbprint).Count -eq 0) {
                Write-Host 'What would follow can be looked at only when the certificates are there.'
                exit 0
            }
            Assert-Certificate $key | Out-Null
            Write-Host ($key.label + ' is in LocalMachine\My: ' + $key.thumbprint)
        }

        Step 'bind'
        foreach ($key in $keys) {
            if (Test-Binding $brief $key (Assert-Certificate $key)) {
                continue
            }
            if (-not (Test-Consent $key.label ('bind to its key in ' + $brief.ksp))) {
                Write-Host 'What would follow can be looked at only when the certificates are bound.'
                exit 0
            }
            if (-not (Repair-Binding $brief $key)) {
                $advice = @('Rule NODE-BINDING: ' + $key.label + ' has no key in ' + $brief.ksp + ' that can be opened: above is why.') + @(Get-VendorAdvice $brief.ksp $key)
                Wait-Until $advice { Repair-Binding $brief $key }
            }
        }

        Step 'grant'
        if ($account -eq '') {
            Write-Host 'Skipped: there is no service yet. Run this script again after Initialize-HgsServer.'
        } elseif (Test-Consent $brief.ksp ('let ' + $account + ' read both keys')) {
            foreach ($key in $keys) {
                if (-not (Grant-Read $key $account)) {
                    Write-Host ($key.label + ': ' + $brief.ksp + ' does not keep a security descriptor: grant Read the vendor''s way, or in certlm.msc.')
                }
            }
            $advice = @(('Rule NODE-GRANT: ' + $account + ' cannot open both keys (above is what it saw).'), 'Grant it Read the vendor''s way, or in certlm.msc: the certificate, All Tasks, Manage Private Keys.', 'Where the HSM has sessions or slots per account, it needs its own; where IIS runs longer than the grant, restart it.')
            Wait-Until $advice { Test-Look $account }
            Write-Host ($account + ' can open both keys.')
        }

        Step 'register'
        if ($brief.trial) {
            Write-Host 'Skipped: a trial registers nothing that would have to be removed again.'
        } elseif ($account -eq '') {
            Write-Host 'Skipped: Initialize-HgsServer registers both, when officers have signed.'
        } else {
            if ((Test-Missing 'signing' $signing.thumbprint $first) -and (Test-Consent 'HGS' ('add the signing certificate ' + $signing.thumbprint))) {
                try {
                    Add-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $signing.thumbprint -NoCertificateReplication -Force -Confirm:$false -ErrorAction Stop
                } catch {
                    Show-Failure $_
                }
                Wait-Registered 'signing' $signing.thumbprint | Out-Null
            }
            if ((Test-Missing 'encryption' $encryption.thumbprint $first) -and (Test-Consent 'HGS' ('add the encryption certificate ' + $encryption.thumbprint))) {
                try {
                    Add-HgsKeyProtectionCertificate -CertificateType Encryption -Thumbprint $encryption.thumbprint -NoCertificateReplication -Force -Confirm:$false -ErrorAction Stop
                } catch {
                    Show-Failure $_
                }
                Wait-Registered 'encryption' $encryption.thumbprint | Out-Null
            }
            if ($WhatIfPreference) {
                exit 0
            }
            Assert-Known $signing.thumbprint $encryption.thumbprint
            $primaries = Get-Primaries
            if ($stage -ceq 'ready' -and ($primaries.signing -ceq $signing.thumbprint -or $primaries.encryption -ceq $encryption.thumbprint)) {
                Refuse 'NODE-PRIMARY' 'a certificate of this ceremony is primary already' 'no change before officers have signed' 'find out who made it primary, and tell the officers'
            }
            Write-Host 'The service knows both certificates, each for its role.'
        }
        Write-Host ''
        Write-Host ('Next: .\Test-KeyferryNode.ps1 -Node ' + $Node + ' -Sums ' + $Sums)
    } catch {
        if ($null -ne (Get-Command -Name Show-Failure -ErrorAction SilentlyContinue)) {
            Show-Failure $_
        } else {
            Write-Host ('failed: ' + $_.Exception.Message)
        }
        exit 1
    }
}
