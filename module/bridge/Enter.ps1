# Where a cmdlet comes in. The last of the rooms: once this function is there, so are all the others.

# What holds for all items of one cmdlet in a pipeline: whose preferences count, and what the host
# must know of them. $Impact is 0 for cmdlets that change nothing, else 1 to 3 as in ConfirmImpact;
# $Take names the properties of an input object that the host needs; $Environment the variables it
# may see; $Files the parameters that name files of this machine.
function script:Enter-HostCmdlet {
    param([string] $Name, $Cmdlet, $Bound, [int] $Impact, [string[]] $Take, [string[]] $Environment, [string[]] $Files)

    # A module's functions don't see the preferences of the script that calls them; a cmdlet does.
    $caller = $Cmdlet.SessionState.PSVariable
    $state = @{
        Name = $Name; Cmdlet = $Cmdlet; Take = $Take; Files = $Files; Ask = $false; Impact = $Impact
        # Bound ones are in the function's scope already, which ours is inside of.
        Error = $(if ($Bound.ContainsKey('ErrorAction')) { $ErrorActionPreference } else { $caller.GetValue('ErrorActionPreference') })
        Warning = $(if ($Bound.ContainsKey('WarningAction')) { $WarningPreference } else { $caller.GetValue('WarningPreference') })
        Verbose = $(if ($Bound.ContainsKey('Verbose')) { $VerbosePreference } else { $caller.GetValue('VerbosePreference') })
        Debug = $(if ($Bound.ContainsKey('Debug')) { $DebugPreference } else { $caller.GetValue('DebugPreference') })
        Information = $(if ($Bound.ContainsKey('InformationAction')) { $InformationPreference } else { $caller.GetValue('InformationPreference') })
        Progress = $(if ($Bound.ContainsKey('ProgressAction')) { $ProgressPreference } else { $caller.GetValue('ProgressPreference') })
        WhatIf = $(if ($Bound.ContainsKey('WhatIf')) { $WhatIfPreference } else { $caller.GetValue('WhatIfPreference') })
        Confirm = $(if ($Bound.ContainsKey('Confirm')) { $ConfirmPreference } else { $caller.GetValue('ConfirmPreference') })
    }
    # -Force answers the question, it doesn't switch -WhatIf off.
    if ($Impact -and -not $Bound.ContainsKey('Confirm') -and $Bound.ContainsKey('Force') -and $Bound['Force']) { $state.Confirm = 'None' }
    $quiet = 'SilentlyContinue', 'Ignore'
    $preferences = [System.Collections.Generic.List[string]]::new()
    if ("$($state.Verbose)" -notin $quiet) { $preferences.Add('"verbose":true') }
    if ("$($state.Debug)" -notin $quiet) { $preferences.Add('"debug":true') }
    if ("$($state.Progress)" -notin $quiet) { $preferences.Add('"progress":true') }
    if ($Impact) {
        $threshold = [int] [System.Management.Automation.ConfirmImpact] $state.Confirm
        # Verbose too: ShouldProcess says there what it is about to do.
        $state.Ask = $state.WhatIf -or ($threshold -gt 0 -and $Impact -ge $threshold) -or "$($state.Verbose)" -notin $quiet
        if ($state.Ask) { $preferences.Add('"ask":true') }
        if ($state.WhatIf) { $preferences.Add('"whatIf":true') }
    }
    $head = ",`"cmdlet`":`"$Name`",`"preferences`":{$($preferences -join ',')}"
    if ($Environment) {
        $values = foreach ($variable in $Environment) {
            $text = [System.Environment]::GetEnvironmentVariable($variable)
            if ($text) { "`"$variable`":" + (ConvertTo-HostJson $text) }
        }
        $head += ",`"environment`":{$($values -join ',')}"
    }
    $state.Head = $head
    $state
}
