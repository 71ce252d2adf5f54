# What the four scripts share. Each loads it only after its hash was found right; it does nothing by itself.
# It uses Step and Refuse of the script that loads it.

# A field of an object from JSON, or nothing where it is absent.
function Get-Field($Object, [string]$Name) {
    $property = $Object.PSObject.Properties[$Name]
    if ($null -eq $property) {
        return $null
    }
    return $property.Value
}

function Read-Json([string]$Path) {
    return ([System.IO.File]::ReadAllText($Path) | ConvertFrom-Json)
}

# UTF-8 without a byte order mark, to a name that is not taken.
function Write-NewText([string]$Path, [string]$Text) {
    $bytes = (New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false).GetBytes($Text)
    $stream = [System.IO.File]::Open($Path, [System.IO.FileMode]::CreateNew)
    try {
        $stream.Write($bytes, 0, $bytes.Length)
    } finally {
        $stream.Dispose()
    }
}

function Get-Sha256([string]$Path) {
    return (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
}

# By the provider that a FIPS policy allows too.
function Get-HashOf([byte[]]$Bytes) {
    $sha256 = New-Object -TypeName System.Security.Cryptography.SHA256CryptoServiceProvider
    try {
        return ,$sha256.ComputeHash($Bytes)
    } finally {
        $sha256.Dispose()
    }
}

function ConvertTo-Hex([byte[]]$Bytes) {
    return [System.BitConverter]::ToString($Bytes).Replace('-', '').ToLowerInvariant()
}

# The brief: what keyferry-hoster register tells every node.
function Read-Brief([string]$Folder) {
    $path = Join-Path -Path $Folder -ChildPath 'registration.json'
    $brief = Read-Json $path
    if ((Get-Field $brief 'format') -cne 'keyferry/1' -or (Get-Field $brief 'target') -cne 'hgs') {
        Refuse 'NODE-FOLDER' 'registration.json of another format or target' 'format keyferry/1, target hgs' 'use the folder that keyferry-hoster register wrote'
    }
    $brief | Add-Member -MemberType NoteProperty -Name 'hash' -Value (Get-Sha256 $path)
    Write-Host ('Ceremony ' + $brief.ceremony + ' (' + $brief.mode + '), ' + $brief.deployment + ', ' + $brief.ksp)
    if ($brief.trial) {
        Write-Host 'This is a trial with throwaway keys: nothing is registered with the service.'
    }
    return $brief
}

# The brief's key of a role.
function Get-BriefKey($Brief, [string]$Role) {
    return @($Brief.keys | Where-Object -FilterScript { $_.role -ceq $Role })[0]
}

# The orders of this folder for this brief, by number.
function Read-Orders([string]$Folder, $Brief) {
    $remedy = 'remove it, and copy the order files that keyferry-hoster wrote for this ceremony'
    $orders = @()
    foreach ($file in @(Get-ChildItem -LiteralPath $Folder -File)) {
        if ($file.Name -cnotmatch '^([0-9]{2,4})-(install-.+|activate|rollback)\.json$') {
            continue
        }
        $number = [int]$Matches[1]
        $name = $Matches[2]
        $order = Read-Json $file.FullName
        $kind = Get-Field $order 'order'
        $expected = $kind
        if ($kind -ceq 'install') {
            $expected = 'install-' + (Get-Field $order 'node')
        }
        if ((Get-Field $order 'format') -cne 'keyferry/1' -or $name -cne $expected -or (Get-Field $order 'number') -ne $number) {
            Refuse 'NODE-ORDER' ($file.Name + ' whose content is not what its name says') 'orders as keyferry-hoster wrote them' $remedy
        }
        if ((Get-Field $order 'brief') -cne $Brief.hash) {
            Refuse 'NODE-ORDER' ($file.Name + ' for another brief') ('an order for the brief ' + $Brief.hash) $remedy
        }
        $order | Add-Member -MemberType NoteProperty -Name 'hash' -Value (Get-Sha256 $file.FullName)
        $orders += $order
        Write-Host ($file.Name + ' has SHA-256 ' + $order.hash + ': compare with paper, nothing else shows who wrote it.')
    }
    foreach ($group in @($orders | Group-Object -Property number)) {
        if ($group.Count -ne 1) {
            Refuse 'NODE-ORDER' ($group.Count.ToString() + ' orders with the number ' + $group.Name) 'one' $remedy
        }
    }
    return @($orders | Sort-Object -Property number)
}

# The newest activate or rollback order, or nothing.
function Get-StandingOrder([object[]]$Orders) {
    $standing = $null
    foreach ($order in $Orders) {
        if ($order.order -cne 'install') {
            $standing = $order
        }
    }
    return $standing
}

function Get-Stage($Standing) {
    if ($null -ne $Standing -and $Standing.order -ceq 'activate') {
        return 'active'
    }
    return 'ready'
}

# A node's turn: the first may begin at once, each other when its order lies here.
function Assert-Turn($Brief, [object[]]$Orders, [string]$Node) {
    $nodes = @($Brief.nodes)
    if ($nodes -cnotcontains $Node) {
        Refuse 'NODE-ORDER' ('the node ' + $Node) ('one of ' + ($nodes -join ', ')) 'type the name that this node has in the plan'
    }
    if ($nodes[0] -ceq $Node) {
        return
    }
    foreach ($order in $Orders) {
        if ($order.order -ceq 'install' -and $order.node -ceq $Node) {
            return
        }
    }
    Refuse 'NODE-ORDER' ('no order to install ' + $Node) ('a file like 01-install-' + $Node + '.json for this brief') 'the node before is not green yet: add its evidence at the hoster''s machine, and copy the new order file here'
}

# One line that says what to do, until a check is true or the person ends it.
function Wait-Until([string[]]$Advice, [scriptblock]$Check) {
    while (-not (& $Check)) {
        Write-Host ''
        foreach ($line in $Advice) {
            Write-Host ('  ' + $line)
        }
        if ((Read-Host -Prompt 'Enter: look again; end: stop here') -eq 'end') {
            Write-Host 'Ended. What is done stays; the script may be run again.'
            exit 4
        }
    }
}

# What went wrong first, in its own words; PowerShell wraps it.
function Get-Words($Failure) {
    $first = $Failure.Exception.GetBaseException()
    $words = $first.Message
    # NTE_BAD_PROV_TYPE is what .NET Framework ends with after it gave up on a key storage provider.
    if ($first.HResult -eq -2146893804 -or $words -match 'Invalid provider type specified') {
        $words += ' (Windows says so too where access to the key is denied, or the HSM is out of reach)'
    }
    return $words
}

# What was said already.
$Said = @{ advice = $false }

# An error, and the one mend that its text does not tell, once.
function Show-Failure($Failure) {
    $words = Get-Words $Failure
    Write-Host ''
    Write-Host ('failed: ' + $words)
    if ($words -match '\b500\b' -and -not $Said.advice) {
        $Said.advice = $true
        Write-Host 'Rule NODE-SERVICE: an HTTP error 500 of the Key Protection Service mostly means that its service account lacks the'
        Write-Host 'privilege "Generate security audits" (SeAuditPrivilege): see INSTRUCTIONS.txt, Before the first script. Then iisreset,'
        Write-Host 'and run the script again.'
    }
}

# One question for each act, in the words of the script. No ends it; -WhatIf only shows.
function Test-Consent([string]$Target, [string]$Act) {
    if ($PSCmdlet.ShouldProcess($Target, $Act)) {
        return $true
    }
    if ($WhatIfPreference) {
        return $false
    }
    Write-Host 'Ended: a person said no. What is done stays, nothing further was changed.'
    exit 4
}

# ---- certificates and keys ----

function Find-Certificate([string]$Thumbprint) {
    return @(Get-ChildItem -Path 'Cert:\LocalMachine\My' | Where-Object -FilterScript { $_.Thumbprint -eq $Thumbprint })
}

function Assert-Certificate($Key) {
    $found = @(Find-Certificate $Key.thumbprint)
    if ($found.Count -eq 0) {
        $where = 'nowhere'
        if (@(Get-ChildItem -Path 'Cert:\CurrentUser\My' | Where-Object -FilterScript { $_.Thumbprint -eq $Key.thumbprint }).Count -ne 0) {
            $where = 'only in CurrentUser\My, where the service never looks'
        }
        Refuse 'NODE-CERTIFICATE' ($Key.label + ' ' + $Key.thumbprint + ': ' + $where) 'LocalMachine\My' 'run Install-KeyferryNode.ps1 as an administrator on this node'
    }
    if ((ConvertTo-Hex (Get-HashOf $found[0].RawData)) -cne $Key.certificate.hash) {
        Refuse 'NODE-CERTIFICATE' ($Key.label + ': another certificate with this thumbprint') ('SHA-256 ' + $Key.certificate.hash) 'remove it by hand, and ask how it came there'
    }
    return $found[0]
}

# What a certificate is bound to, as the key itself says. problem is empty where the key could be opened.
function Read-Binding($Certificate) {
    $binding = New-Object -TypeName PSObject -Property @{ provider = ''; container = ''; same = $false; problem = '' }
    $private = $null
    $public = $null
    try {
        $private = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey($Certificate)
        if ($null -eq $private) {
            $binding.problem = 'no private key is bound'
        } elseif ($null -eq $private.PSObject.Properties['Key']) {
            # RSACng has its CNG key here; a key of a legacy provider has none.
            $binding.provider = 'a legacy cryptographic service provider'
        } else {
            # Getters by their methods: a dot would swallow what they throw, and give nothing.
            $key = $private.get_Key()
            $binding.provider = '' + $key.get_Provider().get_Provider()
            $binding.container = Read-KeyName $key
            $public = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPublicKey($Certificate)
            $ours = $private.ExportParameters($false)
            $theirs = $public.ExportParameters($false)
            $binding.same = (Format-Integer $ours.Modulus) -ceq (Format-Integer $theirs.Modulus) -and (Format-Integer $ours.Exponent) -ceq (Format-Integer $theirs.Exponent)
        }
    } catch {
        $binding.problem = 'its key cannot be opened: ' + (Get-Words $_)
    } finally {
        if ($null -ne $private) {
            $private.Dispose()
        }
        if ($null -ne $public) {
            $public.Dispose()
        }
    }
    return $binding
}

# The name that a provider has for a key. A key without one that can be read is a key all the same.
function Read-KeyName($Key) {
    try {
        return ('' + $Key.get_KeyName())
    } catch {
        Write-Host ('The name of this key cannot be read: ' + (Get-Words $_))
        return ''
    }
}

# A number as it is compared: providers give leading zeros, or none.
function Format-Integer([byte[]]$Bytes) {
    return (ConvertTo-Hex $Bytes).TrimStart('0')
}

# Refuses a key of another provider and another public key; true where the binding is the planned one.
function Test-Binding($Brief, $Key, $Certificate) {
    $binding = Read-Binding $Certificate
    if ($binding.provider -ne '' -and $binding.provider -cne $Brief.ksp) {
        $remove = 'certutil -store My ' + $Key.thumbprint + ' says which it is'
        if ($binding.container -ne '') {
            $remove = 'certutil -csp "' + $binding.provider + '" -delkey "' + $binding.container + '"'
        }
        Refuse 'NODE-BINDING' ($Key.label + ' is bound to a key of ' + $binding.provider) $Brief.ksp ('a key was left behind here: make sure that nobody needs it, remove it by hand (' + $remove + '), and run the script again')
    }
    if ($binding.problem -ne '') {
        Write-Host ($Key.label + ': ' + $binding.problem)
        return $false
    }
    if (-not $binding.same) {
        Refuse 'NODE-BINDING' ($Key.label + ': the bound key ' + $binding.container + ' is not the certificate''s') 'the key that was imported into the HSM' 'bind it to the right key of the HSM, as INSTRUCTIONS.txt says for this provider'
    }
    Write-Host ($Key.label + ' is bound to ' + $binding.container + ' of ' + $binding.provider)
    return $true
}

# ---- the service ----

# The account of the KeyProtection application pool; empty where there is no HGS yet, which only a new deployment may have.
function Get-ServiceAccount($Brief) {
    $pool = $null
    if ($null -ne (Get-Command -Name Get-IISAppPool -ErrorAction SilentlyContinue)) {
        # The module keeps what it saw first: a pool that came since would never be seen.
        Reset-IISServerManager -Confirm:$false -WhatIf:$false -ErrorAction SilentlyContinue
        $pool = Get-IISAppPool -Name KeyProtection -ErrorAction SilentlyContinue -WarningAction SilentlyContinue
    }
    $account = ''
    if ($null -ne $pool) {
        $account = '' + $pool.ProcessModel.UserName
    }
    if ($account -eq '' -and $Brief.deployment -cne 'new') {
        Refuse 'NODE-GRANT' 'no application pool KeyProtection that runs as an account' 'a node of the HGS cluster' 'initialize this server as a node of the cluster first'
    }
    return $account
}

# Every certificate that the service knows for a role, upper-case.
function Get-Registered([string]$Role) {
    if ($Role -ceq 'signing') {
        $known = @(Get-HgsKeyProtectionCertificate -CertificateType Signing -ErrorAction Stop)
    } else {
        $known = @(Get-HgsKeyProtectionCertificate -CertificateType Encryption -ErrorAction Stop)
    }
    return @($known | ForEach-Object -Process { $_.Thumbprint.ToUpperInvariant() })
}

# The primary certificates of now; empty where there is none.
function Get-Primaries {
    $primaries = New-Object -TypeName PSObject -Property @{ signing = ''; encryption = '' }
    foreach ($certificate in @(Get-HgsKeyProtectionCertificate -CertificateType Signing -IsPrimary $true -ErrorAction Stop)) {
        $primaries.signing = $certificate.Thumbprint.ToUpperInvariant()
    }
    foreach ($certificate in @(Get-HgsKeyProtectionCertificate -CertificateType Encryption -IsPrimary $true -ErrorAction Stop)) {
        $primaries.encryption = $certificate.Thumbprint.ToUpperInvariant()
    }
    return $primaries
}

function Format-Primaries($Primaries) {
    return ('signing ' + $Primaries.signing + ', encryption ' + $Primaries.encryption)
}

# What a change has come to, whatever its cmdlet said: both halves are read every 5 seconds, for up to 10 minutes, until the one
# that is asked for is primary. The primaries as read last, after those given; the script ends where the last look saw nothing.
function Wait-Primary([string]$Role, [string]$Thumbprint, $Last) {
    $now = $null
    for ($i = 0; $i -le 120; $i++) {
        if ($i -eq 1) {
            Write-Host ('Looking for up to 10 minutes whether the primary ' + $Role + ' certificate is ' + $Thumbprint)
        }
        if ($i -ne 0) {
            Start-Sleep -Seconds 5
        }
        $now = $null
        try {
            $now = Get-Primaries
            $Last = $now
        } catch {
            $failure = $_
        }
        if ($null -ne $now -and $now.$Role -ceq $Thumbprint) {
            return $now
        }
    }
    if ($null -eq $now) {
        Show-Failure $failure
        Write-Host ''
        Write-Host 'What is primary now is unknown: the service does not answer. Nothing else was changed.'
        Write-Host ('  last read: ' + (Format-Primaries $Last))
        Write-Host '  look, until both answer, and then run this script again:'
        Write-Host '    Get-HgsKeyProtectionCertificate -CertificateType Signing -IsPrimary $true'
        Write-Host '    Get-HgsKeyProtectionCertificate -CertificateType Encryption -IsPrimary $true'
        exit 1
    }
    return $now
}

# Makes a certificate the primary one of its role where it is not yet, and looks what came of it: the primaries as read last.
function Set-Primary([string]$Role, [string]$Thumbprint, $Prior) {
    try {
        if ($Prior.$Role -cne $Thumbprint) {
            if ($Role -ceq 'signing') {
                Set-HgsKeyProtectionCertificate -CertificateType Signing -Thumbprint $Thumbprint -IsPrimary -Force -Confirm:$false -ErrorAction Stop | Out-Host
            } else {
                Set-HgsKeyProtectionCertificate -CertificateType Encryption -Thumbprint $Thumbprint -IsPrimary -Force -Confirm:$false -ErrorAction Stop | Out-Host
            }
        }
    } catch {
        Show-Failure $_
    }
    return Wait-Primary $Role $Thumbprint $Prior
}

# The primaries that an order names as the former ones.
function Get-Former($Order) {
    $former = New-Object -TypeName PSObject -Property @{ signing = ''; encryption = '' }
    foreach ($entry in @($Order.former)) {
        if ($entry.role -ceq 'signing') {
            $former.signing = $entry.thumbprint.ToUpperInvariant()
        } else {
            $former.encryption = $entry.thumbprint.ToUpperInvariant()
        }
    }
    return $former
}

function Assert-Registered([string]$Role, [string]$Thumbprint) {
    if (@(Get-Registered $Role) -cnotcontains $Thumbprint) {
        Refuse 'NODE-REGISTERED' ('the service does not know ' + $Thumbprint + ' for ' + $Role) 'both certificates, each for its role' 'replication takes up to 10 minutes; else run Install-KeyferryNode.ps1 on this node again'
    }
}

# Before a primary is set: half a change is worse than none.
function Assert-Known([string]$Signing, [string]$Encryption) {
    Assert-Registered 'signing' $Signing
    Assert-Registered 'encryption' $Encryption
}

# Before anything changes, what is primary now is written down, once, and read back.
function Save-Primaries([string]$Folder, $Order, $Primaries) {
    $name = 'prior-primaries-' + ([int]$Order.number).ToString('00') + '.json'
    $path = Join-Path -Path $Folder -ChildPath $name
    if (Test-Path -LiteralPath $path) {
        Write-Host ($name + ' is there from an earlier run, and stays.')
    } else {
        $record = [ordered]@{
            format = 'keyferry/1'
            order = $Order.hash
            primaries = [object[]]@(
                [ordered]@{ role = 'signing'; thumbprint = $Primaries.signing },
                [ordered]@{ role = 'encryption'; thumbprint = $Primaries.encryption }
            )
        }
        Write-NewText $path (ConvertTo-Json -InputObject $record -Depth 10 -Compress)
    }
    $read = Read-Json $path
    if ((Get-Field $read 'order') -cne $Order.hash -or @($read.primaries).Count -ne 2) {
        Refuse 'NODE-PRIMARY' ($name + ' belongs to another order') ('the order ' + $Order.hash) 'take it away, keep it, and run the script again'
    }
    foreach ($entry in @($read.primaries)) {
        Write-Host ('Primary before: ' + $entry.role + ' ' + $entry.thumbprint)
    }
}

# Runs Test-KeyferryNode.ps1 in a folder as the service account: a task, because only that has the account's rights.
# The exit code of the script, or -1 where it did not end in time. The cmdlets do not end by themselves where they fail.
function Start-AsService([string]$Folder, [string]$Account, [string]$Arguments) {
    $name = 'Keyferry-' + [System.Guid]::NewGuid().ToString('N')
    $system = Join-Path -Path $env:SystemRoot -ChildPath 'System32'
    $shell = Join-Path -Path $system -ChildPath 'WindowsPowerShell\v1.0\powershell.exe'
    $script = Join-Path -Path $Folder -ChildPath 'Test-KeyferryNode.ps1'
    $output = Join-Path -Path $Folder -ChildPath 'output.txt'
    $line = '/d /c ""' + $shell + '" -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "' + $script + '" ' + $Arguments + ' > "' + $output + '" 2>&1"'
    $action = New-ScheduledTaskAction -Execute (Join-Path -Path $system -ChildPath 'cmd.exe') -Argument $line -WorkingDirectory $Folder -ErrorAction Stop
    $principal = New-ScheduledTaskPrincipal -UserId $Account -LogonType Password -ErrorAction Stop
    $settings = New-ScheduledTaskSettingsSet -ExecutionTimeLimit (New-TimeSpan -Minutes 10) -ErrorAction Stop
    Register-ScheduledTask -TaskName $name -Action $action -Principal $principal -Settings $settings -ErrorAction Stop | Out-Null
    $code = -1
    try {
        Start-ScheduledTask -TaskName $name -ErrorAction Stop
        # 0x41303 has not run, 0x41301 runs, 0x41325 is queued: all else is how it ended.
        for ($i = 0; $i -lt 300; $i++) {
            $result = (Get-ScheduledTaskInfo -TaskName $name -ErrorAction Stop).LastTaskResult
            if (@(267011, 267009, 267045) -notcontains $result) {
                $code = [long]$result
                break
            }
            Start-Sleep -Seconds 2
        }
    } finally {
        Remove-Task $name ($code -eq -1)
    }
    if ($code -eq 2147943785) {
        Write-Host ('Grant ' + $Account + ' "Log on as a batch job" on this node: without it no task runs as this account.')
    } elseif ($code -eq 267014 -or $code -eq -1) {
        Write-Host 'The task did not end within 10 minutes and was stopped: mostly an HSM that waits for a person or a network.'
    }
    if (Test-Path -LiteralPath $output) {
        [System.IO.File]::ReadAllLines($output) | ForEach-Object -Process { Write-Host ('  | ' + $_) }
    }
    return $code
}

# What is cleared away decides nothing: where it stays, that is said.
function Remove-Task([string]$Name, [bool]$Running) {
    try {
        if ($Running) {
            Stop-ScheduledTask -TaskName $Name -ErrorAction Stop
        }
        Unregister-ScheduledTask -TaskName $Name -Confirm:$false -ErrorAction Stop
    } catch {
        Write-Host ('The task ' + $Name + ' is still there: remove it by hand. ' + (Get-Words $_))
    }
}

function Remove-WorkFolder([string]$Folder) {
    try {
        Remove-Item -LiteralPath $Folder -Recurse -Force -Confirm:$false -WhatIf:$false -ErrorAction Stop
    } catch {
        Write-Host ('The folder ' + $Folder + ' is still there, with nothing secret in it: remove it by hand. ' + (Get-Words $_))
    }
}

# A fresh copy of the register folder, under ProgramData, that the service account may read and write.
function New-WorkFolder([string]$Folder, [string]$Account) {
    $work = Join-Path -Path $env:ProgramData -ChildPath ('Keyferry-' + [System.Guid]::NewGuid().ToString('N'))
    New-Item -ItemType Directory -Path $work -Confirm:$false | Out-Null
    icacls $work /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' ($Account + ':(OI)(CI)M') | Out-Null
    if ($LASTEXITCODE -ne 0) {
        Remove-WorkFolder $work
        throw ('icacls failed on ' + $work)
    }
    foreach ($file in @(Get-ChildItem -LiteralPath $Folder -File)) {
        Copy-Item -LiteralPath $file.FullName -Destination $work -Confirm:$false
    }
    return $work
}
