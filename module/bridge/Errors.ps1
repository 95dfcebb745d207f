# Error records from what the host reports.

# None of PowerShell's own exceptions: those bring an error record that would stand in for ours in a catch.
$script:ExceptionTypes = @{
    ObjectNotFound      = [System.Collections.Generic.KeyNotFoundException]
    AuthenticationError = [UnauthorizedAccessException]
    PermissionDenied    = [UnauthorizedAccessException]
    OperationTimeout    = [TimeoutException]
    InvalidArgument     = [ArgumentException]
    ConnectionError     = [System.Net.Http.HttpRequestException]
}

function script:New-HostErrorRecord($Report) {
    $type = $script:ExceptionTypes[[string] $Report.category]
    if ($null -eq $type) { $type = [InvalidOperationException] }
    $exception = $type::new([string] $Report.message)
    foreach ($name in 'status', 'serverMessage', 'validation', 'requestId', 'retryable', 'retryAfter') {
        $property = $Report.PSObject.Properties[$name]
        if ($property) { $exception.Data[[char]::ToUpperInvariant($name[0]) + $name.Substring(1)] = $property.Value }
    }
    $target = $Report.PSObject.Properties['target']
    $record = [System.Management.Automation.ErrorRecord]::new($exception, [string] $Report.code,
        [System.Management.Automation.ErrorCategory] [string] $Report.category, $(if ($target) { $target.Value }))
    $advice = $Report.PSObject.Properties['recommendation']
    if ($advice) {
        # The error view shows the recommendation below the message.
        $record.ErrorDetails = [System.Management.Automation.ErrorDetails]::new([string] $Report.message)
        $record.ErrorDetails.RecommendedAction = $advice.Value
    }
    $record
}

function script:New-HostGoneRecord($Link, [string] $Name) {
    $process = $Link.Process
    $null = $process.WaitForExit(500)
    $how = if ($process.HasExited) { "exit code $($process.ExitCode)" } else { 'it closed its output' }
    New-HostErrorRecord ([pscustomobject] @{
            code = 'JIM.HostEnded'; category = 'ResourceUnavailable'; retryable = $false; target = $Name
            message = "The jimhost process ended while $Name was running ($how); what it was doing may or may not have happened."
            recommendation = 'The next cmdlet starts a new one. Run Connect-JIM again, and look before you repeat a change.'
        })
}

# A question where nobody can be asked.
function script:New-HostNobodyRecord([string] $Name, $Question, [string] $Cause) {
    New-HostErrorRecord ([pscustomobject] @{
            code = 'JIM.CannotAsk'; category = 'InvalidOperation'; retryable = $false; target = $Name
            message = "$Name needs an answer, and nobody can be asked here: $Cause $($Question.question)"
            recommendation = 'Give -Confirm:$false (or -Force, where there is one) to go on without asking.'
        })
}
