# SPDX-License-Identifier: ISC
# Made by contrib/completions/generate; do not edit.
complete -c phial -n __fish_use_subcommand -x -a help -d 'explain a command'
complete -c phial -n __fish_use_subcommand -x -a init -d 'make a store, and my keys if I have none'
complete -c phial -n __fish_use_subcommand -x -a join -d 'pin the admin key of a store that others made'
complete -c phial -n __fish_use_subcommand -x -a keygen -d 'make an age key, to open secrets with'
complete -c phial -n __fish_use_subcommand -x -a host -d 'add, ls, rm'
complete -c phial -n '__fish_seen_subcommand_from host; and not __fish_seen_subcommand_from add ls rm' -x -a add -d 'let a host or a person open secrets'
complete -c phial -n '__fish_seen_subcommand_from host; and not __fish_seen_subcommand_from add ls rm' -x -a ls -d 'list who may open what'
complete -c phial -n '__fish_seen_subcommand_from host; and not __fish_seen_subcommand_from add ls rm' -x -a rm -d 'take a host or a person out'
complete -c phial -n __fish_use_subcommand -x -a signer -d 'keygen, add, ls, rm'
complete -c phial -n '__fish_seen_subcommand_from signer; and not __fish_seen_subcommand_from keygen add ls rm' -x -a keygen -d 'make a minisign key, to seal with'
complete -c phial -n '__fish_seen_subcommand_from signer; and not __fish_seen_subcommand_from keygen add ls rm' -x -a add -d 'let a person seal secrets'
complete -c phial -n '__fish_seen_subcommand_from signer; and not __fish_seen_subcommand_from keygen add ls rm' -x -a ls -d 'list who may seal what'
complete -c phial -n '__fish_seen_subcommand_from signer; and not __fish_seen_subcommand_from keygen add ls rm' -x -a rm -d 'take a signer out'
complete -c phial -n __fish_use_subcommand -x -a seal -d 'seal a value from the terminal, stdin or a file'
complete -c phial -n __fish_use_subcommand -x -a unseal -d 'verify and open a secret to stdout'
complete -c phial -n __fish_use_subcommand -x -a revert -d 'seal an old value as a new version'
complete -c phial -n __fish_use_subcommand -x -a run -d 'run a command here with a workload'\''s secrets'
complete -c phial -n __fish_use_subcommand -x -a inspect -d 'show all of a sealed file but the value'
complete -c phial -n __fish_use_subcommand -x -a verify -d 'check every file of a store'
complete -c phial -n __fish_use_subcommand -x -a ls -d 'list the secrets of a store'
complete -c phial -n __fish_use_subcommand -x -a policy -d 'check, sign'
complete -c phial -n '__fish_seen_subcommand_from policy; and not __fish_seen_subcommand_from check sign' -x -a check -d 'check a policy, all problems at once'
complete -c phial -n '__fish_seen_subcommand_from policy; and not __fish_seen_subcommand_from check sign' -x -a sign -d 'check and sign a store'\''s policy.json'
complete -c phial -n __fish_use_subcommand -x -a status -d 'what the agent of this host holds and refuses'
complete -c phial -n __fish_use_subcommand -x -a doctor -d 'what this host can do, and what is wrong with it'
complete -c phial -n __fish_use_subcommand -x -a audit -d 'verify, log'
complete -c phial -n '__fish_seen_subcommand_from audit; and not __fish_seen_subcommand_from verify log' -x -a verify -d 'check that nothing was cut from the audit log'
complete -c phial -n '__fish_seen_subcommand_from audit; and not __fish_seen_subcommand_from verify log' -x -a log -d 'who has had what, and when'
complete -c phial -n __fish_use_subcommand -x -a reload -d 'let the agent of this host read its store again'
complete -c phial -n __fish_use_subcommand -x -a revoke -d 'take a secret from this host and its containers, now'
complete -c phial -n __fish_use_subcommand -x -a revocations -d 'what was revoked on this host, and why'
complete -c phial -n __fish_use_subcommand -x -a override -d 'give a value by hand, in memory, for a while'
complete -c phial -n __fish_use_subcommand -x -a setup -d 'make this host ready for the agent'
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -x -a podman -d 'let Podman and CRI-O run phial'\''s hook'
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -x -a docker -d 'let Docker use phial'\''s runtime'
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -x -a cdi -d 'make workloads devices of container engines'
complete -c phial -n '__fish_seen_subcommand_from init' -l name -r
complete -c phial -n '__fish_seen_subcommand_from init' -l no-passphrase
complete -c phial -n '__fish_seen_subcommand_from init' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from init' -l recovery -r
complete -c phial -n '__fish_seen_subcommand_from init' -l no-recovery
complete -c phial -n '__fish_seen_subcommand_from join' -l trust -r
complete -c phial -n '__fish_seen_subcommand_from keygen; and not __fish_seen_subcommand_from signer' -l output -s o -r
complete -c phial -n '__fish_seen_subcommand_from keygen; and not __fish_seen_subcommand_from signer' -l no-passphrase
complete -c phial -n '__fish_seen_subcommand_from keygen; and not __fish_seen_subcommand_from signer' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from add' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from add' -l store -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from ls' -l json
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from ls' -l store -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from rm' -l dry-run
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from rm' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from rm' -l store -r
complete -c phial -n '__fish_seen_subcommand_from host; and __fish_seen_subcommand_from rm' -a "(phial host ls 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from keygen' -l output -s o -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from keygen' -l no-passphrase
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from keygen' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from add' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from add' -l store -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from ls' -l json
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from ls' -l store -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from rm' -l dry-run
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from rm' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from rm' -l store -r
complete -c phial -n '__fish_seen_subcommand_from signer; and __fish_seen_subcommand_from rm' -a "(phial signer ls 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c phial -n '__fish_seen_subcommand_from seal' -l from -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l not-after -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l mode -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l owner -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l recipient -s r -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l signer -s s -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l output -s o -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l trim-newline
complete -c phial -n '__fish_seen_subcommand_from seal' -l keep-newline
complete -c phial -n '__fish_seen_subcommand_from seal' -l allow-empty
complete -c phial -n '__fish_seen_subcommand_from seal' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from seal' -l store -r
complete -c phial -n '__fish_seen_subcommand_from seal' -a "(phial ls 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c phial -n '__fish_seen_subcommand_from unseal' -l identity -s i -r
complete -c phial -n '__fish_seen_subcommand_from unseal' -l signers -r
complete -c phial -n '__fish_seen_subcommand_from unseal' -l reveal
complete -c phial -n '__fish_seen_subcommand_from unseal' -l insecure-unsigned
complete -c phial -n '__fish_seen_subcommand_from unseal' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from unseal' -l store -r
complete -c phial -n '__fish_seen_subcommand_from unseal' -a "(phial ls 2>/dev/null | awk 'NR > 1 { print \$1 }')"
complete -c phial -n '__fish_seen_subcommand_from revert' -l to -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l list
complete -c phial -n '__fish_seen_subcommand_from revert' -l from -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l not-after -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l identity -s i -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l signer -s s -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from revert' -l json
complete -c phial -n '__fish_seen_subcommand_from revert' -l store -r
complete -c phial -n '__fish_seen_subcommand_from run' -l file-env
complete -c phial -n '__fish_seen_subcommand_from run' -l env -r
complete -c phial -n '__fish_seen_subcommand_from run' -l identity -s i -r
complete -c phial -n '__fish_seen_subcommand_from run' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from run' -l store -r
complete -c phial -n '__fish_seen_subcommand_from inspect' -l json
complete -c phial -n '__fish_seen_subcommand_from verify' -l json
complete -c phial -n '__fish_seen_subcommand_from ls' -l json
complete -c phial -n '__fish_seen_subcommand_from ls' -l store -r
complete -c phial -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from check' -l json
complete -c phial -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from check' -l store -r
complete -c phial -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from sign' -l passphrase-fd -r
complete -c phial -n '__fish_seen_subcommand_from policy; and __fish_seen_subcommand_from sign' -l store -r
complete -c phial -n '__fish_seen_subcommand_from status' -l json
complete -c phial -n '__fish_seen_subcommand_from status' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from doctor' -l json
complete -c phial -n '__fish_seen_subcommand_from doctor' -l would-start -r
complete -c phial -n '__fish_seen_subcommand_from doctor' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from doctor' -l root -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from verify' -l head -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from verify' -l json
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l secret -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l version -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l container -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l workload -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l since -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l until -r
complete -c phial -n '__fish_seen_subcommand_from audit; and __fish_seen_subcommand_from log' -l json
complete -c phial -n '__fish_seen_subcommand_from reload' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from revoke' -l workload -r
complete -c phial -n '__fish_seen_subcommand_from revoke' -l container -r
complete -c phial -n '__fish_seen_subcommand_from revoke' -l version -r
complete -c phial -n '__fish_seen_subcommand_from revoke' -l reason -r
complete -c phial -n '__fish_seen_subcommand_from revoke' -l json
complete -c phial -n '__fish_seen_subcommand_from revoke' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from revocations' -l json
complete -c phial -n '__fish_seen_subcommand_from revocations' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from override' -l from -r
complete -c phial -n '__fish_seen_subcommand_from override' -l ttl -r
complete -c phial -n '__fish_seen_subcommand_from override' -l reason -r
complete -c phial -n '__fish_seen_subcommand_from override' -l end
complete -c phial -n '__fish_seen_subcommand_from override' -l trim-newline
complete -c phial -n '__fish_seen_subcommand_from override' -l keep-newline
complete -c phial -n '__fish_seen_subcommand_from override' -l json
complete -c phial -n '__fish_seen_subcommand_from override' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l store -r
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l trust -r
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l print
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l remove
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l purge
complete -c phial -n '__fish_seen_subcommand_from setup; and not __fish_seen_subcommand_from podman docker cdi' -l root -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from podman' -l print
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from podman' -l remove
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from podman' -l hooks-dir -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from podman' -l user
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from podman' -l root -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from docker' -l runtime -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from docker' -l default-runtime
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from docker' -l print
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from docker' -l remove
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from docker' -l root -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from cdi' -l print
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from cdi' -l remove
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from cdi' -l run-dir -r
complete -c phial -n '__fish_seen_subcommand_from setup; and __fish_seen_subcommand_from cdi' -l root -r
