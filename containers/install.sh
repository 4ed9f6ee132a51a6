#!/bin/sh
# What every image does in %post: the locked wheels, bound at /mnt, go into /opt/env, which comes first on PATH.
# No network is needed here and no pip configuration of the host reaches the image.
set -eu

python3 -m venv /opt/env
/opt/env/bin/python -m pip install --no-index --find-links /mnt --no-deps --no-cache-dir --disable-pip-version-check \
    --quiet --no-compile --requirement /opt/env.txt
/opt/env/bin/python -m pip check
# On all cores; an image cannot be written to later. Some packages bring files for other Pythons, which fail.
/opt/env/bin/python -m compileall -qq -j 0 /opt/env/lib || true

# HOME is the project in a job, so caches of libraries go to the node's /tmp.
cat >>"$APPTAINER_ENVIRONMENT" <<'END'
export PATH=/opt/env/bin:$PATH PYTHONNOUSERSITE=1
export XDG_CACHE_HOME=/tmp/nebulaexp-cache-$(id -u)
export XDG_CONFIG_HOME=$XDG_CACHE_HOME TRITON_HOME=$XDG_CACHE_HOME
END
