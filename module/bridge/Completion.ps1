# Tab completion.

# Tab completion: names and ids the server knows. Never an error, never a long wait, silent when
# there is no connection.
function script:Complete-HostValue([string] $Source, [string] $Word, [System.Collections.IDictionary] $Bound) {
    $link = (Get-HostState).Link
    if ($null -eq $link -or $link.Dead) { return }
    try {
        $known = foreach ($name in 'ConnectedSystemId', 'ConnectedSystemName') {
            if ($Bound -and $Bound.Contains($name)) { "`"$name`":" + (ConvertTo-HostJson $Bound[$name]) }
        }
        $queue = [System.Collections.Concurrent.BlockingCollection[string]]::new()
        [System.Threading.Monitor]::Enter($link.Write)
        try {
            $link.NextId++
            $id = [string] $link.NextId
            $null = $link.Queues.TryAdd($id, $queue)
        }
        finally { [System.Threading.Monitor]::Exit($link.Write) }
        Send-HostLine $link "{`"complete`":{`"id`":$id,`"source`":`"$Source`",`"word`":$(ConvertTo-HostJson $Word.Trim('''"'.ToCharArray())),`"arguments`":{$($known -join ',')}}}`n"
        while ($true) {
            $line = Receive-HostLine $link $id $queue
            if ($null -eq $line -or $line.EndsWith(',"end":true}')) { return }
            $message = Read-HostJson $line
            if (-not $message.PSObject.Properties['items']) { continue }
            foreach ($value in $message.items.values) {
                $text = [string] $value.Text
                if ($text -notmatch '^[\w.-]+$') { $text = "'" + $text.Replace("'", "''") + "'" }
                [System.Management.Automation.CompletionResult]::new($text, $value.Label, 'ParameterValue', $value.Label)
            }
        }
    }
    catch { return }
    finally {
        $dropped = $null
        $null = $link.Queues.TryRemove($id, [ref] $dropped)
    }
}
