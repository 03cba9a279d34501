<?php
/* What a class of a module under clients/ writes into the class that it extends. */

if (PHP_SAPI !== 'cli') {
    exit("For the command line only.\n");
}

/**
 * The types that the object's members have now: those that $file assigns to by name and that $base declares, by their names.
 * $object need not be of the class that is in $file.
 */
function types_of_written($object, $file, $base)
{
    preg_match_all('/\$this->(\w+)(?:\[[^\]]*\])*\s*(?:[-+*\/.%|&^]|\?\?)?=(?![=>])/', file_get_contents($file), $matches);
    $types = [];
    foreach (array_unique($matches[1]) as $name) {
        if (property_exists($base, $name)) {
            $member = new ReflectionProperty($base, $name);
            $member->setAccessible(true);
            $types[$name] = gettype($member->getValue($object));
        }
    }
    ksort($types);

    return $types;
}
