# SPDX-License-Identifier: ISC
# Made by contrib/completions/generate; do not edit.
_phial_names() {
	"$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_phial() {
	local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} words= names=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words='init join keygen host signer seal unseal revert run inspect verify ls policy status doctor audit reload revoke revocations override setup help --version'
	else
		case $command/${COMP_WORDS[2]-} in
		host/add|host/ls|host/rm|signer/keygen|signer/add|signer/ls|signer/rm|policy/check|policy/sign|audit/verify|audit/log|setup/podman|setup/docker|setup/cdi) command="$command ${COMP_WORDS[2]}" ;;
		esac
		case $command in
		'init') words='--name --no-passphrase --passphrase-fd --recovery --no-recovery --help' ;;
		'join') words='--trust --help' ;;
		'keygen') words='--output -o --no-passphrase --passphrase-fd --help' ;;
		'host add') words='--passphrase-fd --store --help' ;;
		'host ls') words='--json --store --help' ;;
		'host rm') words='--dry-run --passphrase-fd --store --help' names=$(_phial_names phial host ls) ;;
		'signer keygen') words='--output -o --no-passphrase --passphrase-fd --help' ;;
		'signer add') words='--passphrase-fd --store --help' ;;
		'signer ls') words='--json --store --help' ;;
		'signer rm') words='--dry-run --passphrase-fd --store --help' names=$(_phial_names phial signer ls) ;;
		'seal') words='--from --not-after --mode --owner --recipient -r --signer -s --output -o --trim-newline --keep-newline --allow-empty --passphrase-fd --store --help' names=$(_phial_names phial ls) ;;
		'unseal') words='--identity -i --signers --reveal --insecure-unsigned --passphrase-fd --store --help' names=$(_phial_names phial ls) ;;
		'revert') words='--to --list --from --not-after --identity -i --signer -s --passphrase-fd --json --store --help' ;;
		'run') words='--file-env --env --identity -i --passphrase-fd --store --help' ;;
		'inspect') words='--json --help' ;;
		'verify') words='--json --help' ;;
		'ls') words='--json --store --help' ;;
		'policy check') words='--json --store --help' ;;
		'policy sign') words='--passphrase-fd --store --help' ;;
		'status') words='--json --run-dir --help' ;;
		'doctor') words='--json --would-start --run-dir --root --help' ;;
		'audit verify') words='--head --json --help' ;;
		'audit log') words='--secret --version --container --workload --since --until --json --help' ;;
		'reload') words='--run-dir --help' ;;
		'revoke') words='--workload --container --version --reason --json --run-dir --help' ;;
		'revocations') words='--json --run-dir --help' ;;
		'override') words='--from --ttl --reason --end --trim-newline --keep-newline --json --run-dir --help' ;;
		'setup') words='--store --trust --print --remove --purge --root --help' ;;
		'setup podman') words='--print --remove --hooks-dir --user --root --help' ;;
		'setup docker') words='--runtime --default-runtime --print --remove --root --help' ;;
		'setup cdi') words='--print --remove --run-dir --root --help' ;;
		help) words='init join keygen host signer seal unseal revert run inspect verify ls policy status doctor audit reload revoke revocations override setup' ;;
		esac
		case $COMP_CWORD/${COMP_WORDS[1]} in
		2/host) words="add ls rm" names= ;;
		2/signer) words="keygen add ls rm" names= ;;
		2/policy) words="check sign" names= ;;
		2/audit) words="verify log" names= ;;
		2/setup) words="podman docker cdi $words" names= ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words $names" -- "$current")
}
complete -o default -F _phial phial
