# What importing the module does. The bridge waits as a text for the first cmdlet, since reading it
# would take as long as reading all the functions; they find it by calling Enter-HostCmdlet.

Set-StrictMode -Version Latest

# Replaced by the bridge's own function of this name, which comes last in it: stopped halfway, the
# bridge is made again.
function Enter-HostCmdlet {
    . ([scriptblock]::Create($script:Bridge))
    Enter-HostCmdlet @args
}
