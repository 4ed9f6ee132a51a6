"""containers: the images that jobs run in.

makes   containers/{environment}.sif (`snakemake --profile slurm containers`)
needs   envs/{environment}.txt, containers/{environment}.def
"""


localrules:
    containers,
    build_image,


rule containers:
    input:
        [images.image_file(name) for name in IMAGES],


rule build_image:
    output:
        str(images.image_file("{environment}")),
    log:
        PATHS.log("containers", "{environment}"),
    wildcard_constraints:
        environment="|".join(IMAGES),
    params:
        recipe=image_recipe,
    run:  # on the host, never in a container: it makes the images
        shell("python -m scripts.containers.build --recipe {params.recipe:q} --out {output} > {log} 2>&1")
