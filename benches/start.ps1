# From starting `jimhost serve` to its first answer, against `jimhost --version`, which is the price of
# any process.
. $PSScriptRoot/Common.ps1
$null = New-WorkFolder
$medians = Compare-Block -Rounds 40 -WarmUp 3 -Blocks ([ordered] @{
        serve   = {
            $child = Start-Child $Program 'serve'
            $child.StandardInput.Write("{`"hello`":{`"protocol`":1}}`n")
            $child.StandardInput.Flush()
            if ($child.StandardOutput.ReadLine() -notlike '*"hello"*') { throw 'No hello.' }
            # Its end isn't waited for: the session goes on.
            $child.StandardInput.Close()
        }
        version = { $null = (Start-Child $Program '--version').StandardOutput.ReadLine() }
    })
Write-Result 'host start to first answer' $medians.serve 'ms' 'jimhost --version' $medians.version '<= 30 ms'
