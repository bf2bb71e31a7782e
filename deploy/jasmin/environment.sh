#!/bin/sh
# Makes the Python environment in a group workspace, which LOTUS2's nodes, sci and cron servers all see. Run it on a sci
# server, in the project's folder, which lies in the workspace too. conda is not needed.
#
#   module load jaspy                                    # a Python of 3.12 or later
#   sh deploy/jasmin/environment.sh /gws/nopw/j04/MYGWS/climate-impact-cube/.venv
set -eu
venv=${1:?usage: environment.sh VENV}
sh deploy/environment.sh "$venv"
# What runs need and no specification holds. Others in the group must not read it.
file=$HOME/.config/climate-impact-cube/environment
if [ ! -e "$file" ]; then
    mkdir -p "$(dirname "$file")"
    (
        umask 077
        cat >"$file" <<LINES
# Lines NAME=value, read by cube run and by deploy/slurm/build.sbatch.
CUBE_HOME=$venv
# Facts of archive files, so that no run has to read them anew: about 1 kB a file.
CUBE_CACHE=$(dirname "$venv")/cache
# Keys of the object store, from https://s3-portal.jasmin.ac.uk. Note here when they end: the store does not tell.
#AWS_ACCESS_KEY_ID=
#AWS_SECRET_ACCESS_KEY=
# Where failures are told.
#CUBE_WEBHOOK=
LINES
    )
fi
echo "next: put keys into $file, edit deploy/jasmin/cube.yaml, then sh deploy/jasmin/store.sh"
