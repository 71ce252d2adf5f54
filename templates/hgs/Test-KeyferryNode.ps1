# Looks at this node as the administrator, has the service's own account prove that it can use the keys, and writes the
# evidence <node>-<stage>.json beside the scripts. Changes nothing of the service.
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # SHA-256 of the file SHA256SUMS, as keyferry-hoster register printed it: from paper, not from this folder.
    [Parameter(Mandatory = $true)] [ValidatePattern('^[0-9A-Fa-f]{64}$')] [string]$Sums,

    # The name that this node has in the plan.
    [Parameter(Mandatory = $true)] [string]$Node,

    # Not for people: how the script runs itself as the service's account.
    [switch]$AsService,

    # Not for people: only opens the keys, for Install-KeyferryNode.ps1.
    [switch]$Look
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


function ConvertFrom-Hex([string]$Hex) {
    $bytes = New-Object -TypeName 'byte[]' -ArgumentList ($Hex.Length / 2)
    for ($i = 0; $i -lt $bytes.Length; $i++) {
        $bytes[$i] = [System.Convert]::ToByte($Hex.Substring(2 * $i, 2), 16)
    }
    return ,$bytes
}

function ConvertTo-Utf8([string]$Text) {
    return ,[System.Text.Encoding]::UTF8.GetBytes($Text)
}

function ConvertTo-UtcText([System.DateTime]$Time) {
    return $Time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", [System.Globalization.CultureInfo]::InvariantCulture)
}

# Keyferry's one way to join bytes: the label, 0, and each part after its length in 4 bytes, big-endian.
function Join-Encoded([string]$Label, [object[]]$Parts) {
    $stream = New-Object -TypeName System.IO.MemoryStream
    try {
        [byte[]]$bytes = [System.Text.Encoding]::ASCII.GetBytes($Label)
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.WriteByte(0)
        foreach ($part in $Parts) {
            [byte[]]$bytes = $part
            [byte[]]$length = [System.BitConverter]::GetBytes([System.Net.IPAddress]::HostToNetworkOrder([int]$bytes.Length))
            $stream.Write($length, 0, 4)
            $stream.Write($bytes, 0, $bytes.Length)
        }
        return ,$stream.ToArray()
    } finally {
        $stream.Dispose()
    }
}

# What the administrator sees, for the account that makes the proofs. Fields that there are not are left out.
function Get-Collected($Brief, $Standing, [string]$Account) {
    $collected = [ordered]@{ machine = $env:COMPUTERNAME }
    $registered = @()
    $primaries = @()
    if ($Account -ne '') {
        $process = (Get-CimInstance -ClassName Win32_Service -Filter "Name='W3SVC'" -ErrorAction Stop).ProcessId
        if ($process -eq 0) {
            throw 'the IIS service W3SVC does not run'
        }
        $started = (Get-Process -Id $process -ErrorAction Stop).StartTime
        # Ticks: a date in JSON is read as text by one PowerShell and as a date by another.
        $collected.Add('started', ('' + $started.ToUniversalTime().Ticks))
        $collected.Add('service_account', $Account)
        $signing = @(Get-Registered 'signing')
        $encryption = @(Get-Registered 'encryption')
        $registered = @($signing + $encryption | Sort-Object -Unique)
        $now = Get-Primaries
        foreach ($role in @('signing', 'encryption')) {
            if ($now.$role -ne '') {
                $primaries += [ordered]@{ role = $role; thumbprint = $now.$role }
            }
            $key = Get-BriefKey $Brief $role
            if (-not $Brief.trial) {
                Assert-Registered $role $key.thumbprint
            }
        }
        Assert-Primaries $Brief $Standing $now
        if ((Get-Stage $Standing) -ceq 'active') {
            Add-Published $collected
        }
        Add-Diagnostics $collected
    }
    $collected.Add('registered', ([string[]]$registered))
    $collected.Add('primaries', ([object[]]$primaries))
    return $collected
}

# The certificates that this node itself publishes as primary, and since when the process runs that gave them out. Without a proxy;
# asking also wakes a pool that is idle and has no process.
function Add-Published($Collected) {
    $client = New-Object -TypeName System.Net.WebClient
    try {
        $client.Proxy = $null
        [byte[]]$bytes = $client.DownloadData('http://localhost/KeyProtection/service/metadata/2014-07/metadata.xml')
        $metadata = New-Object -TypeName System.Xml.XmlDocument
        $metadata.XmlResolver = $null
        $metadata.Load((New-Object -TypeName System.IO.MemoryStream -ArgumentList (,$bytes)))
        $published = [ordered]@{}
        foreach ($role in @('signing', 'encryption')) {
            $name = $role.Substring(0, 1).ToUpperInvariant() + $role.Substring(1) + 'Certificate'
            $found = $metadata.GetElementsByTagName($name, 'http://schemas.microsoft.com/kps/2014/07')
            if ($found.Count -ne 1) {
                throw ('' + $found.Count + ' elements ' + $name + ', not one')
            }
            $published.Add($role, [System.Convert]::ToBase64String([System.Convert]::FromBase64String($found.Item(0).InnerText)))
        }
        $Collected.Add('published', $published)
        Write-Host 'This node publishes metadata; its two primary certificates become part of the evidence.'
    } catch {
        Write-Host ('What this node publishes is not part of the evidence: http://localhost/KeyProtection/... ' + (Get-Words $_))
    } finally {
        $client.Dispose()
    }
    $started = $null
    foreach ($process in @(Get-CimInstance -ClassName Win32_Process -Filter "Name='w3wp.exe'" -ErrorAction Stop)) {
        if ($process.CommandLine -like '* -ap "KeyProtection"*' -and ($null -eq $started -or $process.CreationDate -lt $started)) {
            $started = $process.CreationDate
        }
    }
    if ($null -ne $started) {
        $Collected.Add('worker_started', ('' + $started.ToUniversalTime().Ticks))
    } else {
        Write-Host 'No process of the application pool KeyProtection runs: since when it does is not part of the evidence.'
    }
}

# What the service says of itself: its text, and each result by itself. Nothing is judged here: people do, and officers sign for
# what does not pass. Errors and warnings are caught with it, in a scope that does not end at the first.
function Add-Diagnostics($Collected) {
    $said = @(& {
        $ErrorActionPreference = 'Continue'
        try {
            Get-HgsTrace -RunDiagnostics -Detailed -ErrorAction Continue
        } catch {
            $_
        }
    } *>&1)
    $text = '' + ($said | Out-String -Width 200)
    Write-Host $text
    $types = @()
    $aggregate = @()
    $results = @()
    $failures = @()
    foreach ($one in $said) {
        if ($one -is [System.Management.Automation.ErrorRecord]) {
            $failures += Get-Words $one
        } elseif ($one -is [System.Management.Automation.WarningRecord]) {
            $failures += $one.Message
        } elseif ($null -ne $one -and $one -isnot [string] -and $one -isnot [System.Management.Automation.InformationRecord]) {
            $types += $one.PSObject.TypeNames[0]
            $aggregate += '' + (Read-First $one @('AggregateResult'))
            $results += @(Expand-Result $one '' 0)
        }
    }
    $Collected.Add('diagnostics', $text)
    $Collected.Add('diagnosis', [ordered]@{
        type = (@($types | Sort-Object -Unique) -join ', ')
        aggregate = (@($aggregate | Sort-Object -Unique) -join ', ')
        results = [object[]]$results
        errors = [string[]]$failures
    })
}

# The first of these properties that holds something simple.
function Read-First($Object, [string[]]$Names) {
    foreach ($name in $Names) {
        $value = Get-Field $Object $name
        if ($null -ne $value -and ($value -is [string] -or $value -is [System.ValueType])) {
            return ('' + $value)
        }
    }
    return ''
}

# Every result that a report holds, with the names of the groups that it is in. How reports are built is not published, and differs
# by release: whatever has a result is one, and whatever is called after results, targets or groups of them is looked into.
function Expand-Result($Object, [string]$Above, [int]$Depth) {
    $own = Read-First $Object @('Name', 'DisplayName', 'DiagnosticName', 'TargetName', 'Target', 'Category', 'CategoryName', 'Diagnostic', 'Key')
    $path = (@($Above, $own) | Where-Object -FilterScript { $_ -ne '' }) -join ' / '
    $result = Read-First $Object @('Result', 'AggregateResult', 'Status', 'Outcome')
    if ($result -ne '' -and $Depth -gt 0) {
        [ordered]@{ name = $path; result = $result }
    }
    if ($Depth -ge 8) {
        return
    }
    foreach ($property in @($Object.PSObject.Properties)) {
        $value = $property.Value
        if ($property.Name -notmatch 'Result|Target|Categor|Group|Diagnos|Check|Item|Value') {
            continue
        }
        if ($value -is [System.Collections.IDictionary]) {
            $value = @($value.GetEnumerator())
        }
        foreach ($one in @($value)) {
            $simple = $one -is [string] -or ($one -is [System.ValueType] -and $one -isnot [System.Collections.DictionaryEntry])
            if ($null -ne $one -and -not $simple) {
                Expand-Result $one $path ($Depth + 1)
            }
        }
    }
}

# The primaries are those that the stage wants.
function Assert-Primaries($Brief, $Standing, $Now) {
    $signing = (Get-BriefKey $Brief 'signing').thumbprint
    $encryption = (Get-BriefKey $Brief 'encryption').thumbprint
    $found = 'signing ' + $Now.signing + ', encryption ' + $Now.encryption
    if ((Get-Stage $Standing) -ceq 'active') {
        if ($Now.signing -cne $signing -or $Now.encryption -cne $encryption) {
            Refuse 'NODE-PRIMARY' $found ('signing ' + $signing + ', encryption ' + $encryption) 'run Set-KeyferryPrimary.ps1 once on one node; replication to the others takes up to 10 minutes'
        }
    } elseif ($null -ne $Standing) {
        $former = Get-Former $Standing
        if ($Now.signing -cne $former.signing -or $Now.encryption -cne $former.encryption) {
            Refuse 'NODE-PRIMARY' $found ('signing ' + $former.signing + ', encryption ' + $former.encryption) 'run Undo-KeyferryPrimary.ps1 once on one node; replication to the others takes up to 10 minutes'
        }
    } elseif ($Now.signing -ceq $signing -or $Now.encryption -ceq $encryption) {
        Refuse 'NODE-PRIMARY' $found 'nothing of this ceremony, before officers have signed' 'find out who made it primary, and tell the officers'
    }
}

# The proof of one key. Nothing that a counterpart chose is signed or decrypted raw.
function Get-Proof($Brief, $Key, $Certificate, [string]$Place) {
    $ids = @((ConvertFrom-Hex $Brief.plan_hash), (ConvertFrom-Hex $Brief.package_id), (ConvertTo-Utf8 $Key.label), (ConvertTo-Utf8 $Place))
    $private = $null
    try {
        $private = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey($Certificate)
        if ($Key.role -ceq 'signing') {
            $message = Join-Encoded 'keyferry/1 proof' ($ids + ,(ConvertFrom-Hex $Brief.nonce))
            return [ordered]@{ signature = (Get-Signature $private $message) }
        }
        $challenge = @($Key.challenges | Where-Object -FilterScript { $_.place -ceq $Place })
        if ($challenge.Count -ne 1) {
            throw ('the brief has no challenge for ' + $Place)
        }
        $padding = [System.Security.Cryptography.RSAEncryptionPadding]::OaepSHA1
        if ($Brief.oaep_hash -ceq 'sha256') {
            $padding = [System.Security.Cryptography.RSAEncryptionPadding]::OaepSHA256
        }
        [byte[]]$answer = $private.Decrypt([System.Convert]::FromBase64String($challenge[0].ciphertext), $padding)
        if ($answer.Length -ne 32) {
            throw 'the challenge decrypts to something else than 32 bytes'
        }
        $message = Join-Encoded 'keyferry/1 answer' ($ids + ,$answer)
        return [ordered]@{ answer = (ConvertTo-Hex (Get-HashOf $message)) }
    } catch {
        Refuse 'NODE-PROOF' ($Key.label + ': ' + (Get-Words $_)) 'a key that this account can use' 'see INSTRUCTIONS.txt, What can go wrong: the grant, the HSM session of the service''s account, a usage that the key lacks'
    } finally {
        if ($null -ne $private) {
            $private.Dispose()
        }
    }
}

function Get-Signature($Private, [byte[]]$Message) {
    $signature = $Private.SignData($Message, [System.Security.Cryptography.HashAlgorithmName]::SHA256, [System.Security.Cryptography.RSASignaturePadding]::Pkcs1)
    return [System.Convert]::ToBase64String($signature)
}

# Who runs this. The pool's own spelling where it is the same account.
function Get-OwnAccount([string]$Expected) {
    $own = '' + (whoami)
    if ($Expected -eq '') {
        return $own
    }
    if ($own -ne $Expected) {
        $sid = (New-Object -TypeName System.Security.Principal.NTAccount -ArgumentList $Expected).Translate([System.Security.Principal.SecurityIdentifier])
        if ($sid -ne [System.Security.Principal.WindowsIdentity]::GetCurrent().User) {
            Refuse 'NODE-GRANT' ('the proofs run as ' + $own) $Expected 'they must run as the service''s account'
        }
    }
    return $Expected
}

# The statement, its signature by the first signing key, and the file that holds both.
function Write-Evidence($Brief, $Standing, $Collected, [string]$Path) {
    $stage = Get-Stage $Standing
    $service = '' + (Get-Field $Collected 'service_account')
    # Add, not a dot: a dictionary has a property Keys of its own.
    $statement = [ordered]@{ ceremony = $Brief.ceremony; plan_hash = $Brief.plan_hash; brief = $Brief.hash }
    if ($null -ne $Standing) {
        $statement.Add('order', $Standing.hash)
    }
    $statement.Add('node', $Node)
    $statement.Add('stage', $stage)
    $statement.Add('machine', $Collected.machine)
    $statement.Add('time', (ConvertTo-UtcText ([System.DateTime]::UtcNow)))
    if ($service -ne '') {
        $ticks = New-Object -TypeName System.DateTime -ArgumentList ([long]$Collected.started), ([System.DateTimeKind]::Utc)
        $statement.Add('service_started', (ConvertTo-UtcText $ticks))
        if ($null -ne (Get-Field $Collected 'worker_started')) {
            $ticks = New-Object -TypeName System.DateTime -ArgumentList ([long]$Collected.worker_started), ([System.DateTimeKind]::Utc)
            $statement.Add('worker_started', (ConvertTo-UtcText $ticks))
        }
    }
    $account = Get-OwnAccount $service
    $statement.Add('account', $account)
    if ($service -ne '') {
        $statement.Add('service_account', $service)
    }
    $statement.Add('program', ('Test-KeyferryNode.ps1 ' + (Get-Sha256 (Join-Path -Path $PSScriptRoot -ChildPath 'Test-KeyferryNode.ps1'))))
    $keys = @()
    foreach ($key in @($Brief.keys)) {
        $certificate = Assert-Certificate $key
        if (-not (Test-Binding $Brief $key $certificate)) {
            Refuse 'NODE-GRANT' ($key.label + ' cannot be opened by ' + $account + ': above is why') 'a key that this account may read' 'run Install-KeyferryNode.ps1 again'
        }
        $binding = Read-Binding $certificate
        $keys += [ordered]@{
            label = $key.label
            thumbprint = $certificate.Thumbprint.ToUpperInvariant()
            certificate = ConvertTo-Hex (Get-HashOf $certificate.RawData)
            provider = $binding.provider
            container = $binding.container
            proof = (Get-Proof $Brief $key $certificate ($Node + '/' + $stage))
        }
    }
    $statement.Add('keys', ([object[]]$keys))
    $statement.Add('registered', ([string[]]@($Collected.registered)))
    $primaries = @()
    foreach ($primary in @($Collected.primaries)) {
        $primaries += [ordered]@{ role = $primary.role; thumbprint = $primary.thumbprint }
    }
    $statement.Add('primaries', ([object[]]$primaries))
    if ($null -ne (Get-Field $Collected 'diagnostics')) {
        $statement.Add('diagnostics', $Collected.diagnostics)
        $results = @()
        foreach ($one in @($Collected.diagnosis.results)) {
            $results += [ordered]@{ name = $one.name; result = $one.result }
        }
        $statement.Add('diagnosis', [ordered]@{
            type = $Collected.diagnosis.type
            aggregate = $Collected.diagnosis.aggregate
            results = [object[]]$results
            errors = [string[]]@($Collected.diagnosis.errors)
        })
    }
    if ($null -ne (Get-Field $Collected 'published')) {
        $statement.Add('published', [ordered]@{ signing = $Collected.published.signing; encryption = $Collected.published.encryption })
    }
    $text = ConvertTo-Json -InputObject $statement -Depth 10 -Compress
    $parts = @((ConvertFrom-Hex $Brief.plan_hash), (ConvertFrom-Hex $Brief.package_id), (Get-HashOf (ConvertTo-Utf8 $text)))
    $private = $null
    try {
        $private = [System.Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey((Assert-Certificate (Get-BriefKey $Brief 'signing')))
        $signature = Get-Signature $private (Join-Encoded 'keyferry/1 node' $parts)
    } finally {
        if ($null -ne $private) {
            $private.Dispose()
        }
    }
    $evidence = [ordered]@{ format = 'keyferry/1'; evidence = 'node'; statement = $text; signature = $signature }
    Write-NewText $Path (ConvertTo-Json -InputObject $evidence -Depth 10 -Compress)
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

        Step 'check-order'
        $orders = @(Read-Orders $PSScriptRoot $brief)
        Assert-Turn $brief $orders $Node
        $standing = Get-StandingOrder $orders
        $name = $Node + '-' + (Get-Stage $standing) + '.json'
        $path = Join-Path -Path $PSScriptRoot -ChildPath $name
        if (-not $AsService -and (Test-Path -LiteralPath $path)) {
            Refuse 'NODE-FOLDER' ($name + ' lies here from an earlier run') 'no evidence of this node and stage' 'take it to the hoster''s machine, or move it away: evidence is never overwritten'
        }
        Write-Host ('This run is for ' + $name)

        Step 'diagnose'
        if (-not $AsService) {
            foreach ($key in @($brief.keys)) {
                if (-not (Test-Binding $brief $key (Assert-Certificate $key))) {
                    Refuse 'NODE-BINDING' ($key.label + ' has no private key here that can be opened: above is why') $brief.ksp 'run Install-KeyferryNode.ps1 on this node'
                }
            }
            $account = Get-ServiceAccount $brief
            $collected = Get-Collected $brief $standing $account
        }

        Step 'prove'
        if ($Look) {
            foreach ($key in @($brief.keys)) {
                if (-not (Test-Binding $brief $key (Assert-Certificate $key))) {
                    exit 1
                }
            }
            exit 0
        }
        if ($AsService) {
            Write-Evidence $brief $standing (Read-Json (Join-Path -Path $PSScriptRoot -ChildPath 'collected.json')) (Join-Path -Path $PSScriptRoot -ChildPath 'evidence.json')
            exit 0
        }
        $who = $account
        if ($who -eq '') {
            $who = whoami
        }
        if (-not (Test-Consent $name ('sign and decrypt as ' + $who + ', and write the evidence'))) {
            exit 0
        }
        $json = ConvertTo-Json -InputObject $collected -Depth 10 -Compress
        if ($account -eq '') {
            Write-Host 'There is no service yet: the proofs are made as the account that runs this script.'
            Write-Evidence $brief $standing ($json | ConvertFrom-Json) $path
        } else {
            $work = New-WorkFolder $PSScriptRoot $account
            try {
                Write-NewText (Join-Path -Path $work -ChildPath 'collected.json') $json
                $code = Start-AsService $work $account ('-Node "' + $Node + '" -Sums ' + $Sums + ' -AsService')
                $made = Join-Path -Path $work -ChildPath 'evidence.json'
                if ($code -eq 3) {
                    exit 3
                }
                if ($code -ne 0 -or -not (Test-Path -LiteralPath $made)) {
                    Refuse 'NODE-PROOF' ('the proofs as ' + $account + ' ended with ' + $code) 'evidence' 'see what it said above, and What can go wrong in INSTRUCTIONS.txt'
                }
                # Never over a file that is there.
                [System.IO.File]::Copy($made, $path)
            } finally {
                Remove-WorkFolder $work
            }
        }
        Write-Host ('Written: ' + $path)
        Write-Host ('Next, at the hoster''s machine: keyferry-hoster evidence add ' + $name)
    } catch {
        if ($null -ne (Get-Command -Name Show-Failure -ErrorAction SilentlyContinue)) {
            Show-Failure $_
        } else {
            Write-Host ('failed: ' + $_.Exception.Message)
        }
        exit 1
    }
}
